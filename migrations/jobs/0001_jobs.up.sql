-- Jobs, their history and what dispatch needs beside them.
--
-- jobs holds what a caller sees. Where a live job stands in dispatch is a row of exactly one small table: job_queue (may
-- be leased now), job_delayed (waits for run_after or its back-off) or job_leases (held by a worker). That keeps the
-- columns that change most out of every index of the large table (its updates stay heap-only), and the claim's scan on a
-- table that holds nothing but ready jobs.
--
-- Lock order, for every transaction: the claim locks project_slots, then takes job_queue and jobs rows with SKIP LOCKED
-- and so never waits while it holds them; everything else locks jobs first, in order of job_id, then the small tables,
-- then project_slots in key order.

-- The first instant of a UUIDv7, for partition bounds.
CREATE FUNCTION jobs.uuid7_floor(at timestamptz) RETURNS uuid
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;

CREATE TABLE jobs.jobs (
    job_id                   uuid        NOT NULL,
    tenant_id                text        COLLATE "C" NOT NULL,
    project_id               text        COLLATE "C" NOT NULL,
    intent                   text        COLLATE "C" NOT NULL,
    queue                    text        COLLATE "C" NOT NULL,
    tier                     text        COLLATE "C" NOT NULL,
    priority                 smallint    NOT NULL,
    state                    text        COLLATE "C" NOT NULL,
    -- The number of the latest transition: job_events has as many rows, the outbox as many events under this key.
    seq                      bigint      NOT NULL,
    actor_id                 text        COLLATE "C" NOT NULL,
    idempotency_key          text        COLLATE "C" NOT NULL,
    idempotency_payload_hash bytea       NOT NULL,
    payload                  bytea       NOT NULL,
    payload_content_type     text        NOT NULL,
    result                   bytea,
    result_content_type      text,
    max_attempts             integer     NOT NULL,
    run_budget_ms            bigint      NOT NULL,
    attempt                  integer     NOT NULL,
    -- The fencing token of the latest lease; 0 before the first.
    fence                    bigint      NOT NULL,
    lease_id                 uuid,
    worker_id                text,
    -- Time under lease of the attempts that have ended.
    run_ms                   bigint      NOT NULL,
    failure_code             text,
    failure_message          text,
    failed_at                timestamptz,
    -- The first failure: the retry window counts from it.
    retry_since              timestamptz,
    next_attempt_at          timestamptz,
    timed_out_clock          text,
    run_after                timestamptz,
    created_at               timestamptz NOT NULL,
    started_at               timestamptz,
    finished_at              timestamptz,
    request_id               text        NOT NULL,
    traceparent              text        NOT NULL,
    PRIMARY KEY (job_id),
    CONSTRAINT job_queue_is_known CHECK (queue IN ('project', 'infra')),
    CONSTRAINT job_tier_is_known CHECK (tier IN ('A', 'B', 'C')),
    CONSTRAINT job_priority_is_in_range CHECK (priority BETWEEN 0 AND 9),
    CONSTRAINT job_state_is_known CHECK (state IN ('queued', 'running', 'retrying', 'done', 'failed', 'timed_out', 'cancelled')),
    CONSTRAINT job_counts_are_sane CHECK (seq >= 1 AND attempt >= 0 AND fence >= 0 AND run_ms >= 0 AND max_attempts >= 1 AND run_budget_ms >= 1000),
    CONSTRAINT job_hash_is_blake3 CHECK (octet_length(idempotency_payload_hash) = 32),
    CONSTRAINT job_payload_is_bounded CHECK (octet_length(payload) <= 983040 AND octet_length(result) <= 983040),
    CONSTRAINT job_ended_when_final CHECK ((state IN ('done', 'failed', 'timed_out', 'cancelled')) = (finished_at IS NOT NULL)),
    CONSTRAINT job_has_result_when_done CHECK ((state = 'done') = (result IS NOT NULL) AND (result IS NULL) = (result_content_type IS NULL)),
    CONSTRAINT job_has_lease_when_running CHECK (state <> 'running' OR (lease_id IS NOT NULL AND worker_id IS NOT NULL AND started_at IS NOT NULL AND attempt >= 1)),
    CONSTRAINT job_has_next_attempt_when_retrying CHECK ((state = 'retrying') = (next_attempt_at IS NOT NULL)),
    CONSTRAINT job_has_failure_when_failed CHECK (state NOT IN ('failed', 'retrying') OR failure_code IS NOT NULL),
    CONSTRAINT job_names_its_clock_when_timed_out CHECK ((state = 'timed_out') = (timed_out_clock IS NOT NULL))
) PARTITION BY RANGE (job_id);

-- ListJobs: one project, newest first.
CREATE INDEX jobs_by_project ON jobs.jobs (tenant_id, project_id, job_id DESC);

CREATE TABLE jobs.job_events (
    job_id        uuid        NOT NULL,
    seq           bigint      NOT NULL,
    tenant_id     text        COLLATE "C" NOT NULL,
    project_id    text        COLLATE "C" NOT NULL,
    event_id      uuid        NOT NULL,
    from_state    text,
    to_state      text        NOT NULL,
    attempt       integer     NOT NULL,
    fence         bigint      NOT NULL,
    actor_id      text        NOT NULL,
    worker_id     text,
    -- The key of the command that caused it: the lease id of a worker's answer, the key of a cancellation. A repeated
    -- command finds its first answer by it.
    command_key   text,
    -- BLAKE3 of that command, so that another command under the same key is not taken for its repetition.
    command_hash  bytea,
    detail        text        NOT NULL,
    occurred_at   timestamptz NOT NULL,
    request_id    text        NOT NULL,
    traceparent   text        NOT NULL,
    PRIMARY KEY (job_id, seq),
    CONSTRAINT job_event_begins_with_submission CHECK ((seq = 1) = (from_state IS NULL))
) PARTITION BY RANGE (job_id);

CREATE TABLE jobs.job_queue (
    tenant_id  text        COLLATE "C" NOT NULL,
    project_id text        COLLATE "C" NOT NULL,
    queue      text        COLLATE "C" NOT NULL,
    intent     text        COLLATE "C" NOT NULL,
    -- 9 - priority, so that one ascending index serves the order of leasing.
    rank       smallint    NOT NULL,
    ready_at   timestamptz NOT NULL,
    job_id     uuid        NOT NULL,
    PRIMARY KEY (tenant_id, project_id, rank, ready_at, job_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE jobs.job_delayed (
    job_id     uuid        NOT NULL PRIMARY KEY,
    due_at     timestamptz NOT NULL,
    tenant_id  text        COLLATE "C" NOT NULL,
    project_id text        COLLATE "C" NOT NULL,
    queue      text        COLLATE "C" NOT NULL,
    intent     text        COLLATE "C" NOT NULL,
    rank       smallint    NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX job_delayed_by_due ON jobs.job_delayed (due_at);

-- No index on expires_at: heartbeats stay heap-only, and the expiry sweep reads a table as small as what runs.
CREATE TABLE jobs.job_leases (
    job_id           uuid        NOT NULL PRIMARY KEY,
    lease_id         uuid        NOT NULL,
    tenant_id        text        COLLATE "C" NOT NULL,
    project_id       text        COLLATE "C" NOT NULL,
    fence            bigint      NOT NULL,
    worker_id        text        NOT NULL,
    leased_at        timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL,
    -- When the run budget is used up. No extension goes beyond it.
    run_deadline     timestamptz NOT NULL,
    progress_percent smallint,
    progress_note    text,
    CONSTRAINT lease_ends_within_run_budget CHECK (expires_at <= run_deadline)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

-- What a project has been given: written by submissions alone.
CREATE TABLE jobs.project_intake (
    tenant_id       text   COLLATE "C" NOT NULL,
    project_id      text   COLLATE "C" NOT NULL,
    submitted       bigint NOT NULL,
    infra_submitted bigint NOT NULL,
    PRIMARY KEY (tenant_id, project_id)
) WITH (fillfactor = 50);

-- What a project has taken: running jobs against the serial limit, and how many have left the queue. Depth is submitted
-- minus dequeued. Two rows, not one, so that submissions and claims of a project do not wait for each other; a stale
-- read of dequeued only overstates the depth.
CREATE TABLE jobs.project_slots (
    tenant_id      text    COLLATE "C" NOT NULL,
    project_id     text    COLLATE "C" NOT NULL,
    running        integer NOT NULL,
    dequeued       bigint  NOT NULL,
    infra_dequeued bigint  NOT NULL,
    PRIMARY KEY (tenant_id, project_id),
    CONSTRAINT project_running_is_not_negative CHECK (running >= 0)
) WITH (fillfactor = 50);

-- Rows of one tenant are seen and written only by a transaction whose scope names it. Unset or empty scope: nothing.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['jobs', 'job_events', 'job_queue', 'job_delayed', 'job_leases', 'project_intake', 'project_slots'] LOOP
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

GRANT USAGE ON SCHEMA jobs TO holdfast_jobs_app, holdfast_jobs_task;
GRANT SELECT, INSERT, UPDATE ON jobs.jobs, jobs.project_intake, jobs.project_slots TO holdfast_jobs_app;
GRANT SELECT, INSERT ON jobs.job_events TO holdfast_jobs_app;
GRANT SELECT, INSERT, DELETE, UPDATE ON jobs.job_queue, jobs.job_delayed, jobs.job_leases TO holdfast_jobs_app;
GRANT SELECT, UPDATE ON jobs.jobs, jobs.project_slots TO holdfast_jobs_task;
GRANT SELECT, INSERT ON jobs.job_events TO holdfast_jobs_task;
GRANT SELECT, INSERT, DELETE, UPDATE ON jobs.job_queue, jobs.job_delayed, jobs.job_leases TO holdfast_jobs_task;
GRANT SELECT ON jobs.project_intake TO holdfast_jobs_task;

-- History only grows: grants keep the services from changing it, this keeps the owner from it too. Row and statement
-- triggers on the parent cover UPDATE and DELETE through it; a leaf gets its own, since neither a leaf's TRUNCATE nor a
-- statement aimed at a leaf fires the parent's statement trigger.
CREATE FUNCTION jobs.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER job_events_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON jobs.job_events
    FOR EACH STATEMENT EXECUTE FUNCTION jobs.refuse_change();

-- Makes the weekly partitions from last week's to weeks_ahead from now, where missing; answers how many it made. There is
-- no default partition: an id outside the window is refused, and a job can never land where retention does not look.
-- A leaf grants nothing to anyone and has forced row-level security without a policy, so reading it directly, past the
-- parent's policy, is refused twice.
CREATE FUNCTION jobs.ensure_partitions(weeks_ahead integer) RETURNS integer
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
    FOREACH parent IN ARRAY ARRAY['jobs', 'job_events', 'idempotency_ledger'] LOOP
        FOR week IN -1 .. weeks_ahead LOOP
            starts := this_week + make_interval(days => week * 7);
            leaf := format('%s_p%s', parent, to_char(starts AT TIME ZONE 'UTC', 'YYYYMMDD'));
            CONTINUE WHEN to_regclass(format('jobs.%I', leaf)) IS NOT NULL;
            EXECUTE format('CREATE TABLE jobs.%I PARTITION OF jobs.%I FOR VALUES FROM (%L) TO (%L) WITH (%s)',
                leaf, parent, jobs.uuid7_floor(starts), jobs.uuid7_floor(starts + interval '7 days'),
                CASE parent WHEN 'job_events' THEN 'fillfactor = 100' ELSE 'fillfactor = 60' END);
            EXECUTE format('ALTER TABLE jobs.%I ENABLE ROW LEVEL SECURITY', leaf);
            EXECUTE format('ALTER TABLE jobs.%I FORCE ROW LEVEL SECURITY', leaf);
            IF parent = 'job_events' THEN
                EXECUTE format('CREATE TRIGGER job_events_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON jobs.%I '
                    'FOR EACH STATEMENT EXECUTE FUNCTION jobs.refuse_change()', leaf);
            END IF;
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;
REVOKE ALL ON FUNCTION jobs.ensure_partitions(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION jobs.ensure_partitions(integer) TO holdfast_jobs_task;
