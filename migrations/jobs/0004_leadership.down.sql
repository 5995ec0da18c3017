DROP TABLE jobs.task_leases;
