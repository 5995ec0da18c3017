-- What jobs use of models, the sums that budgets are decided by, and the state of jobs that exceeded one.
--
-- model_usage is the evidence, job_usage and budget_usage are sums over it, kept in its transactions. Lock order: jobs first,
-- in order of job_id, then budget_usage in key order, then the tables of dispatch and project_slots as before. Who holds
-- project_slots never asks for budget_usage.
--
-- The new CHECKs hold for every row that the services write from here on; 0012 checks the rows that are there already.

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

-- One row a reported use of a model, for good. Partitioned with its job, so that a key is one within its job for as long as
-- there is anything of the job.
CREATE TABLE jobs.model_usage (
    job_id          uuid        NOT NULL,
    idempotency_key text        COLLATE "C" NOT NULL,
    tenant_id       text        COLLATE "C" NOT NULL,
    project_id      text        COLLATE "C" NOT NULL,
    -- Who submitted the job: whose budget it counts against.
    user_id         text        COLLATE "C" NOT NULL,
    provider        text        COLLATE "C" NOT NULL,
    model           text        COLLATE "C" NOT NULL,
    input_tokens    bigint      NOT NULL,
    output_tokens   bigint      NOT NULL,
    -- Millionths of a US dollar.
    cost_micro_usd  bigint      NOT NULL,
    -- The lease under which the model was called; NULL where none was named.
    lease_id        uuid,
    -- Who reported it.
    actor_id        text        COLLATE "C" NOT NULL,
    recorded_at     timestamptz NOT NULL,
    request_id      text        NOT NULL,
    traceparent     text        NOT NULL,
    PRIMARY KEY (job_id, idempotency_key),
    CONSTRAINT usage_is_within_reason CHECK (
        input_tokens BETWEEN 0 AND 1000000000 AND output_tokens BETWEEN 0 AND 1000000000 AND cost_micro_usd BETWEEN 0 AND 10000000000
    )
) PARTITION BY RANGE (job_id);

-- The sum over a job's usage; written under the job's row lock.
CREATE TABLE jobs.job_usage (
    job_id         uuid   NOT NULL PRIMARY KEY,
    tenant_id      text   COLLATE "C" NOT NULL,
    project_id     text   COLLATE "C" NOT NULL,
    tokens         bigint NOT NULL,
    cost_micro_usd bigint NOT NULL,
    entries        bigint NOT NULL,
    CONSTRAINT job_usage_is_not_negative CHECK (tokens >= 0 AND cost_micro_usd >= 0 AND entries >= 0)
) PARTITION BY RANGE (job_id);

-- The sums over the usage of a submitter's day, a project's day and a tenant's month.
CREATE TABLE jobs.budget_usage (
    tenant_id      text        COLLATE "C" NOT NULL,
    scope          text        COLLATE "C" NOT NULL,
    scope_id       text        COLLATE "C" NOT NULL,
    period_start   timestamptz NOT NULL,
    period_end     timestamptz NOT NULL,
    tokens         bigint      NOT NULL,
    cost_micro_usd bigint      NOT NULL,
    entries        bigint      NOT NULL,
    -- When it was first seen to be more than the limit. Whether it still is, is for the limits of the day to say.
    breached_at    timestamptz,
    PRIMARY KEY (tenant_id, scope, scope_id, period_start),
    CONSTRAINT budget_scope_is_known CHECK (scope IN ('user', 'project', 'tenant')),
    CONSTRAINT budget_period_ends CHECK (period_end > period_start),
    CONSTRAINT budget_usage_is_not_negative CHECK (tokens >= 0 AND cost_micro_usd >= 0 AND entries >= 0)
) WITH (fillfactor = 50);
-- Neither covers a column that counting changes: counting stays heap-only.
CREATE INDEX budget_usage_by_end ON jobs.budget_usage (period_end, tenant_id, scope, scope_id);
CREATE INDEX budget_usage_breached ON jobs.budget_usage (period_end) WHERE breached_at IS NOT NULL;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['model_usage', 'job_usage', 'budget_usage'] LOOP
        EXECUTE format('ALTER TABLE jobs.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE jobs.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$
            CREATE POLICY tenant_scope ON jobs.%I TO holdfast_jobs_app
            USING (tenant_id = ANY ((SELECT string_to_array(current_setting('holdfast.tenants', true), ','))::text[]))
            WITH CHECK (tenant_id = ANY ((SELECT string_to_array(current_setting('holdfast.tenants', true), ','))::text[]))
        $p$, name);
    END LOOP;
END $$;
CREATE POLICY background ON jobs.budget_usage TO holdfast_jobs_task USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON jobs.model_usage TO holdfast_jobs_app;
GRANT SELECT, INSERT, UPDATE ON jobs.job_usage, jobs.budget_usage TO holdfast_jobs_app;
GRANT SELECT, UPDATE ON jobs.budget_usage TO holdfast_jobs_task;
CREATE TRIGGER model_usage_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON jobs.model_usage
    FOR EACH STATEMENT EXECUTE FUNCTION jobs.refuse_change();

-- As before, over every table of the schema that is partitioned by the time within a UUIDv7, whoever added it; one that only
-- grows is told by its trigger.
CREATE OR REPLACE FUNCTION jobs.ensure_partitions(weeks_ahead integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    this_week  timestamptz := date_trunc('week', clock_timestamp() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
    starts     timestamptz;
    parent     record;
    leaf       text;
    made       integer := 0;
BEGIN
    IF weeks_ahead NOT BETWEEN 1 AND 53 THEN
        RAISE EXCEPTION 'weeks_ahead must be 1 to 53' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR parent IN
        SELECT class.relname AS name, EXISTS (
            SELECT FROM pg_trigger AS trigger
            WHERE trigger.tgrelid = class.oid AND trigger.tgname = class.relname || '_only_grow'
        ) AS only_grows
        FROM pg_partitioned_table AS partitioned
        JOIN pg_class AS class ON class.oid = partitioned.partrelid
        JOIN pg_attribute AS key ON key.attrelid = class.oid AND key.attnum = partitioned.partattrs[0]
        WHERE class.relnamespace = 'jobs'::regnamespace AND partitioned.partstrat = 'r' AND key.atttypid = 'uuid'::regtype
        ORDER BY class.relname
    LOOP
        FOR week IN -1 .. weeks_ahead LOOP
            starts := this_week + make_interval(days => week * 7);
            leaf := format('%s_p%s', parent.name, to_char(starts AT TIME ZONE 'UTC', 'YYYYMMDD'));
            CONTINUE WHEN to_regclass(format('jobs.%I', leaf)) IS NOT NULL;
            EXECUTE format('CREATE TABLE jobs.%I PARTITION OF jobs.%I FOR VALUES FROM (%L) TO (%L) WITH (%s)',
                leaf, parent.name, jobs.uuid7_floor(starts), jobs.uuid7_floor(starts + interval '7 days'),
                CASE WHEN parent.only_grows THEN 'fillfactor = 100' ELSE 'fillfactor = 60' END);
            EXECUTE format('ALTER TABLE jobs.%I ENABLE ROW LEVEL SECURITY', leaf);
            EXECUTE format('ALTER TABLE jobs.%I FORCE ROW LEVEL SECURITY', leaf);
            IF parent.only_grows THEN
                EXECUTE format('CREATE TRIGGER %s_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON jobs.%I '
                    'FOR EACH STATEMENT EXECUTE FUNCTION jobs.refuse_change()', parent.name, leaf);
            END IF;
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;
