DROP TABLE locks.task_leases;
