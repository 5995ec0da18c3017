-- Leadership of background tasks: one lease row a task, taken by predicate on the database's clock. The epoch grows with
-- every change of hands.
CREATE TABLE locks.task_leases (
    task       text        COLLATE "C" NOT NULL PRIMARY KEY,
    holder     text        NOT NULL,
    epoch      bigint      NOT NULL,
    expires_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON locks.task_leases TO holdfast_locks_task;
