-- Takes what jobs wait for with it. Refused by the constraint while there are blocked jobs, which earlier versions do not know.
DROP TABLE jobs.job_settlements, jobs.job_dependencies;
ALTER TABLE jobs.jobs
    DROP COLUMN awaited,
    DROP COLUMN depends_on,
    DROP COLUMN on_dependency_failure,
    DROP CONSTRAINT job_state_is_known,
    ADD CONSTRAINT job_state_is_known CHECK (state IN (
        'queued', 'running', 'retrying', 'done', 'failed', 'timed_out', 'cancelled',
        'waiting_human_decision', 'changes_requested', 'deferred', 'rejected'
    ));
