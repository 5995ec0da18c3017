-- The idempotency ledger: one head row a key that decides, and the history of its windows.
--
-- Two callers that both find an expired key race for one predicated upsert of the head; exactly one of them opens the
-- next generation. The ledger is not partitioned by the key and holds no uniqueness: that is the head's alone.

CREATE TABLE jobs.idempotency_ledger (
    ledger_id            uuid        NOT NULL,
    tenant_id            text        COLLATE "C" NOT NULL,
    idempotency_key      text        COLLATE "C" NOT NULL,
    project_id           text        COLLATE "C" NOT NULL,
    intent               text        COLLATE "C" NOT NULL,
    actor_id             text        COLLATE "C" NOT NULL,
    generation           bigint      NOT NULL,
    window_start         timestamptz NOT NULL,
    window_end           timestamptz NOT NULL,
    payload_hash         bytea       NOT NULL,
    -- The job that the key queued; NULL for the intents of other services, which complete with an outcome.
    job_id               uuid,
    outcome              bytea,
    outcome_content_type text,
    completed_at         timestamptz,
    first_seen_at        timestamptz NOT NULL,
    last_seen_at         timestamptz NOT NULL,
    PRIMARY KEY (ledger_id),
    CONSTRAINT ledger_window_is_open_for_a_while CHECK (window_end > window_start),
    CONSTRAINT ledger_hash_is_blake3 CHECK (octet_length(payload_hash) = 32),
    CONSTRAINT ledger_outcome_is_complete CHECK ((outcome IS NULL) = (outcome_content_type IS NULL) AND (outcome IS NULL OR completed_at IS NOT NULL))
) PARTITION BY RANGE (ledger_id);

CREATE TABLE jobs.idempotency_heads (
    tenant_id        text        COLLATE "C" NOT NULL,
    project_id       text        COLLATE "C" NOT NULL,
    intent           text        COLLATE "C" NOT NULL,
    actor_id         text        COLLATE "C" NOT NULL,
    idempotency_key  text        COLLATE "C" NOT NULL,
    generation       bigint      NOT NULL,
    ledger_id        uuid        NOT NULL,
    payload_hash     bytea       NOT NULL,
    window_end       timestamptz NOT NULL,
    job_id           uuid,
    -- A reservation is a lease: the token grows with every grant, and only its holder completes the key.
    token            bigint      NOT NULL,
    lease_expires_at timestamptz,
    completed_at     timestamptz,
    PRIMARY KEY (tenant_id, project_id, intent, actor_id, idempotency_key),
    CONSTRAINT head_is_a_job_or_a_reservation CHECK (job_id IS NULL OR lease_expires_at IS NULL),
    CONSTRAINT head_counts_are_sane CHECK (generation >= 1 AND token >= 0)
) WITH (fillfactor = 90);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['idempotency_ledger', 'idempotency_heads'] LOOP
        EXECUTE format('ALTER TABLE jobs.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE jobs.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$
            CREATE POLICY tenant_scope ON jobs.%I TO holdfast_jobs_app
            USING (tenant_id = ANY ((SELECT string_to_array(current_setting('holdfast.tenants', true), ','))::text[]))
            WITH CHECK (tenant_id = ANY ((SELECT string_to_array(current_setting('holdfast.tenants', true), ','))::text[]))
        $p$, name);
    END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE ON jobs.idempotency_ledger, jobs.idempotency_heads TO holdfast_jobs_app;
