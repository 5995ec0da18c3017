ALTER TABLE jobs.jobs
    DROP CONSTRAINT job_dependencies_are_pairs,
    ADD CONSTRAINT job_dependencies_are_pairs CHECK (
        depends_on IS NULL AND on_dependency_failure IS NULL
        OR cardinality(depends_on) BETWEEN 1 AND 100 AND cardinality(on_dependency_failure) = cardinality(depends_on)
    ) NOT VALID,
    DROP CONSTRAINT job_state_is_known,
    ADD CONSTRAINT job_state_is_known CHECK (state IN (
        'queued', 'running', 'retrying', 'done', 'failed', 'timed_out', 'cancelled',
        'waiting_human_decision', 'changes_requested', 'deferred', 'rejected', 'blocked'
    )) NOT VALID;
