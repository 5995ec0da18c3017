DROP FUNCTION locks.ensure_partitions(integer);
DROP TABLE locks.locks, locks.lock_leases, locks.lock_instances, locks.lock_heads, locks.lock_class_changes, locks.lock_classes;
DROP FUNCTION locks.record_class_change();
DROP FUNCTION locks.refuse_change();
DROP FUNCTION locks.uuid7_floor(timestamptz);
REVOKE USAGE ON SCHEMA locks FROM holdfast_locks_app, holdfast_locks_task;
