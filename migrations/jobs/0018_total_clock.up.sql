-- The total clock: time under lease, in back-off and with people together is bounded, and the clock that ran out is named.
ALTER TABLE jobs.jobs
    -- NULL: submitted to a version that knew no total clock.
    ADD COLUMN total_budget_ms bigint,
    -- Of the back-offs that have ended.
    ADD COLUMN backoff_ms bigint NOT NULL DEFAULT 0;
