-- Dependencies: jobs that are blocked until others have ended.
--
-- The new CHECK holds for every row that the services write from here on; 0008 checks the rows that are there already,
-- without keeping anybody from the table.

ALTER TABLE jobs.jobs
    -- Whether others wait for this one's end: set by their submissions under this one's lock, so that whoever ends it says so
    -- (job_settlements) exactly where somebody waits.
    ADD COLUMN awaited boolean NOT NULL DEFAULT false,
    -- What it was submitted to wait for, side by side; NULL for most.
    ADD COLUMN depends_on uuid[],
    ADD COLUMN on_dependency_failure text[],
    ADD CONSTRAINT job_dependencies_are_pairs CHECK (
        depends_on IS NULL AND on_dependency_failure IS NULL
        OR cardinality(depends_on) BETWEEN 1 AND 100 AND cardinality(on_dependency_failure) = cardinality(depends_on)
    ) NOT VALID,
    DROP CONSTRAINT job_state_is_known,
    ADD CONSTRAINT job_state_is_known CHECK (state IN (
        'queued', 'running', 'retrying', 'done', 'failed', 'timed_out', 'cancelled',
        'waiting_human_decision', 'changes_requested', 'deferred', 'rejected', 'blocked'
    )) NOT VALID;

-- What blocked jobs wait for; the rows go when the job moves on. A dependency that had ended as the job was submitted, and
-- lets it run, has none.
CREATE TABLE jobs.job_dependencies (
    job_id     uuid NOT NULL,
    depends_on uuid NOT NULL,
    tenant_id  text COLLATE "C" NOT NULL,
    on_failure text COLLATE "C" NOT NULL,
    PRIMARY KEY (job_id, depends_on),
    CONSTRAINT dependency_is_another_job CHECK (job_id <> depends_on),
    CONSTRAINT dependency_effect_is_known CHECK (on_failure IN ('block', 'cancel', 'run'))
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX job_dependencies_by_dependency ON jobs.job_dependencies (depends_on, job_id);

-- Awaited jobs that have ended, and whose dependents have not been looked at yet.
CREATE TABLE jobs.job_settlements (
    settlement_id uuid NOT NULL PRIMARY KEY,
    -- The job that has ended.
    job_id        uuid NOT NULL,
    tenant_id     text COLLATE "C" NOT NULL,
    -- The last dependent that was looked at, in the order of ids: many are looked at in turns.
    after_job_id  uuid NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['job_dependencies', 'job_settlements'] LOOP
        EXECUTE format('ALTER TABLE jobs.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE jobs.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$
            CREATE POLICY tenant_scope ON jobs.%I TO holdfast_jobs_app
            USING (tenant_id = ANY ((SELECT string_to_array(current_setting('holdfast.tenants', true), ','))::text[]))
            WITH CHECK (tenant_id = ANY ((SELECT string_to_array(current_setting('holdfast.tenants', true), ','))::text[]))
        $p$, name);
        EXECUTE format('CREATE POLICY background ON jobs.%I TO holdfast_jobs_task USING (true) WITH CHECK (true)', name);
    END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE, DELETE ON jobs.job_dependencies TO holdfast_jobs_app;
GRANT SELECT, DELETE ON jobs.job_dependencies TO holdfast_jobs_task;
GRANT INSERT ON jobs.job_settlements TO holdfast_jobs_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON jobs.job_settlements TO holdfast_jobs_task;
