-- Reads every job once, beside those who work with them.
ALTER TABLE jobs.jobs
    VALIDATE CONSTRAINT job_state_is_known,
    VALIDATE CONSTRAINT job_ended_when_final;
