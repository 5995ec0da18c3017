-- Holds: what keeps jobs blocked beside other jobs, namely kill switches and an outage of policy.

-- Of blocked jobs alone; the rows go when the job moves on. A job is free when nothing holds it and nothing that it waits for
-- (job_dependencies) is left.
CREATE TABLE jobs.job_holds (
    job_id     uuid    NOT NULL,
    tenant_id  text    COLLATE "C" NOT NULL,
    -- As callers see it: 'kill_switch:project:alpha', 'policy'.
    held_by    text    COLLATE "C" NOT NULL,
    -- Whose switch it is: two tenants may have projects of one name. Empty for the platform's, and for policy.
    of_tenant  text    COLLATE "C" NOT NULL,
    -- Whether the job waited for a worker before: then nobody is asked about it again.
    was_queued boolean NOT NULL,
    PRIMARY KEY (job_id, held_by, of_tenant),
    CONSTRAINT hold_cause_is_known CHECK (held_by = 'policy' OR held_by ^@ 'kill_switch:')
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

ALTER TABLE jobs.job_holds ENABLE ROW LEVEL SECURITY;
ALTER TABLE jobs.job_holds FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_scope ON jobs.job_holds TO holdfast_jobs_app
    USING (tenant_id = ANY ((SELECT string_to_array(current_setting('holdfast.tenants', true), ','))::text[]))
    WITH CHECK (tenant_id = ANY ((SELECT string_to_array(current_setting('holdfast.tenants', true), ','))::text[]));
CREATE POLICY background ON jobs.job_holds TO holdfast_jobs_task USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, DELETE ON jobs.job_holds TO holdfast_jobs_app, holdfast_jobs_task;
