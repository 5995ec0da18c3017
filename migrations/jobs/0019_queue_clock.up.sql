-- The clock of the queue: how long jobs have waited for a worker and for nothing else. And sums of usage may be pruned.
--
-- One row a job that has waited for longer than a look takes to come round; a job that a worker has at once never gets one.
-- Written by one background task, row by row in the order of job_id; it is locked after jobs, in the same order. Rows of jobs
-- that have ended are cleared later, so that ending one costs nothing.
CREATE TABLE jobs.job_queue_clock (
    job_id    uuid        NOT NULL PRIMARY KEY,
    tenant_id text        COLLATE "C" NOT NULL,
    -- Over all the job's stays in the queue.
    waited_ms bigint      NOT NULL,
    -- When the job was last seen where its clock runs, and since when it stood in the queue then: a job that has left the queue
    -- and come back has another ready_at, and what lies between is not counted.
    seen_at   timestamptz NOT NULL,
    ready_at  timestamptz NOT NULL,
    -- Whether it was said that its budget is used up.
    told      boolean     NOT NULL,
    CONSTRAINT queue_clock_is_not_negative CHECK (waited_ms >= 0)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

ALTER TABLE jobs.job_queue_clock ENABLE ROW LEVEL SECURITY;
ALTER TABLE jobs.job_queue_clock FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_scope ON jobs.job_queue_clock TO holdfast_jobs_app
    USING (tenant_id = ANY ((SELECT string_to_array(current_setting('holdfast.tenants', true), ','))::text[]))
    WITH CHECK (tenant_id = ANY ((SELECT string_to_array(current_setting('holdfast.tenants', true), ','))::text[]));
CREATE POLICY background ON jobs.job_queue_clock TO holdfast_jobs_task USING (true) WITH CHECK (true);
-- Callers read it with the job.
GRANT SELECT ON jobs.job_queue_clock TO holdfast_jobs_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON jobs.job_queue_clock TO holdfast_jobs_task;

-- Of periods that ended long ago: what they are the sums of stays.
GRANT DELETE ON jobs.budget_usage TO holdfast_jobs_task;
