ALTER TABLE jobs.jobs
    DROP CONSTRAINT job_state_is_known,
    ADD CONSTRAINT job_state_is_known CHECK (state IN (
        'queued', 'running', 'retrying', 'done', 'failed', 'timed_out', 'cancelled',
        'waiting_human_decision', 'changes_requested', 'deferred', 'rejected', 'blocked', 'budget_exceeded'
    )) NOT VALID,
    DROP CONSTRAINT job_ended_when_final,
    ADD CONSTRAINT job_ended_when_final CHECK (
        (state IN ('done', 'failed', 'timed_out', 'cancelled', 'rejected', 'budget_exceeded')) = (finished_at IS NOT NULL)
    ) NOT VALID;
