ALTER TABLE jobs.jobs
    DROP CONSTRAINT job_depth_is_bounded,
    ADD CONSTRAINT job_depth_is_bounded CHECK (depth BETWEEN 0 AND 3 AND (depth > 0) = (parent_job_id IS NOT NULL)) NOT VALID,
    DROP CONSTRAINT job_state_is_known,
    ADD CONSTRAINT job_state_is_known CHECK (state IN (
        'queued', 'running', 'retrying', 'done', 'failed', 'timed_out', 'cancelled',
        'waiting_human_decision', 'changes_requested', 'deferred', 'rejected'
    )) NOT VALID,
    DROP CONSTRAINT job_ended_when_final,
    ADD CONSTRAINT job_ended_when_final
        CHECK ((state IN ('done', 'failed', 'timed_out', 'cancelled', 'rejected')) = (finished_at IS NOT NULL)) NOT VALID;
