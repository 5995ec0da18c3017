-- Tier C: jobs that wait for a person to decide, and what was decided.
--
-- The new CHECKs hold for every row that the services write from here on; 0006 checks the rows that are there already,
-- without keeping anybody from the table.

ALTER TABLE jobs.jobs
    -- The job that this one does anew.
    ADD COLUMN resubmits uuid,
    -- The job on whose behalf this one is done, and how many are above it.
    ADD COLUMN parent_job_id uuid,
    ADD COLUMN depth smallint NOT NULL DEFAULT 0,
    ADD CONSTRAINT job_depth_is_bounded CHECK (depth BETWEEN 0 AND 3 AND (depth > 0) = (parent_job_id IS NOT NULL)) NOT VALID,
    DROP CONSTRAINT job_state_is_known,
    ADD CONSTRAINT job_state_is_known CHECK (state IN (
        'queued', 'running', 'retrying', 'done', 'failed', 'timed_out', 'cancelled',
        'waiting_human_decision', 'changes_requested', 'deferred', 'rejected'
    )) NOT VALID,
    DROP CONSTRAINT job_ended_when_final,
    ADD CONSTRAINT job_ended_when_final
        CHECK ((state IN ('done', 'failed', 'timed_out', 'cancelled', 'rejected')) = (finished_at IS NOT NULL)) NOT VALID;

-- What people decided, for good: a correction is a further row.
CREATE TABLE jobs.approvals (
    job_id       uuid        NOT NULL,
    -- From 1, without gaps within the job; given under the job's row lock.
    number       integer     NOT NULL,
    approval_id  uuid        NOT NULL,
    tenant_id    text        COLLATE "C" NOT NULL,
    project_id   text        COLLATE "C" NOT NULL,
    decision     text        COLLATE "C" NOT NULL,
    reason       text        NOT NULL,
    actor_id     text        COLLATE "C" NOT NULL,
    -- Under which the actor was allowed to decide.
    role         text        COLLATE "C" NOT NULL,
    -- The approval_id of the row that this one corrects.
    corrects     uuid,
    -- The caller's key, and BLAKE3 of what came under it: a repeated decision finds its record by them.
    command_key  text        COLLATE "C" NOT NULL,
    command_hash bytea       NOT NULL,
    decided_at   timestamptz NOT NULL,
    request_id   text        NOT NULL,
    traceparent  text        NOT NULL,
    PRIMARY KEY (job_id, number),
    CONSTRAINT approval_decision_is_known CHECK (decision IN ('approve', 'reject', 'request_changes', 'defer')),
    CONSTRAINT approval_numbers_begin_at_one CHECK (number >= 1 AND (number > 1 OR corrects IS NULL)),
    CONSTRAINT approval_hash_is_blake3 CHECK (octet_length(command_hash) = 32)
) PARTITION BY RANGE (job_id);

-- One row a live job of tier C: the time that people have for it. Small, like job_leases; gone when the job has ended.
CREATE TABLE jobs.job_waits (
    job_id      uuid        NOT NULL PRIMARY KEY,
    tenant_id   text        COLLATE "C" NOT NULL,
    project_id  text        COLLATE "C" NOT NULL,
    budget_ms   bigint      NOT NULL,
    -- Of the waits that have ended.
    spent_ms    bigint      NOT NULL,
    -- The job's maximum age.
    ends_at     timestamptz NOT NULL,
    -- Since when the clock of decisions runs; NULL while it does not.
    since       timestamptz,
    -- When the job times out as it stands; NULL while no clock of people runs.
    due_at      timestamptz,
    -- Whether people are reminded: not while the job is deferred.
    reminds     boolean     NOT NULL,
    -- How many there were, over all waits, and when the latest of this wait was.
    reminders   integer     NOT NULL,
    reminded_at timestamptz,
    CONSTRAINT wait_counts_are_sane CHECK (budget_ms >= 1 AND spent_ms >= 0 AND reminders >= 0),
    CONSTRAINT wait_runs_out CHECK (since IS NULL OR due_at IS NOT NULL)
) WITH (fillfactor = 70);
CREATE INDEX job_waits_due ON jobs.job_waits (due_at);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['approvals', 'job_waits'] LOOP
        EXECUTE format('ALTER TABLE jobs.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE jobs.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$
            CREATE POLICY tenant_scope ON jobs.%I TO holdfast_jobs_app
            USING (tenant_id = ANY ((SELECT string_to_array(current_setting('holdfast.tenants', true), ','))::text[]))
            WITH CHECK (tenant_id = ANY ((SELECT string_to_array(current_setting('holdfast.tenants', true), ','))::text[]))
        $p$, name);
    END LOOP;
END $$;
CREATE POLICY background ON jobs.job_waits TO holdfast_jobs_task USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON jobs.approvals TO holdfast_jobs_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON jobs.job_waits TO holdfast_jobs_app, holdfast_jobs_task;
CREATE TRIGGER approvals_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON jobs.approvals
    FOR EACH STATEMENT EXECUTE FUNCTION jobs.refuse_change();

-- As before, and the partitions of approvals with them.
CREATE OR REPLACE FUNCTION jobs.ensure_partitions(weeks_ahead integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    this_week timestamptz := date_trunc('week', clock_timestamp() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
    starts    timestamptz;
    parent    text;
    leaf      text;
    made      integer := 0;
BEGIN
    IF weeks_ahead NOT BETWEEN 1 AND 53 THEN
        RAISE EXCEPTION 'weeks_ahead must be 1 to 53' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOREACH parent IN ARRAY ARRAY['jobs', 'job_events', 'idempotency_ledger', 'approvals'] LOOP
        FOR week IN -1 .. weeks_ahead LOOP
            starts := this_week + make_interval(days => week * 7);
            leaf := format('%s_p%s', parent, to_char(starts AT TIME ZONE 'UTC', 'YYYYMMDD'));
            CONTINUE WHEN to_regclass(format('jobs.%I', leaf)) IS NOT NULL;
            EXECUTE format('CREATE TABLE jobs.%I PARTITION OF jobs.%I FOR VALUES FROM (%L) TO (%L) WITH (%s)',
                leaf, parent, jobs.uuid7_floor(starts), jobs.uuid7_floor(starts + interval '7 days'),
                CASE WHEN parent IN ('job_events', 'approvals') THEN 'fillfactor = 100' ELSE 'fillfactor = 60' END);
            EXECUTE format('ALTER TABLE jobs.%I ENABLE ROW LEVEL SECURITY', leaf);
            EXECUTE format('ALTER TABLE jobs.%I FORCE ROW LEVEL SECURITY', leaf);
            IF parent IN ('job_events', 'approvals') THEN
                EXECUTE format('CREATE TRIGGER %s_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON jobs.%I '
                    'FOR EACH STATEMENT EXECUTE FUNCTION jobs.refuse_change()', parent, leaf);
            END IF;
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;
