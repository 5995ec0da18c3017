ALTER TABLE jobs.jobs
    DROP COLUMN total_budget_ms,
    DROP COLUMN backoff_ms;
