-- Locks: who holds what and who waits for it, the order in which classes are taken, and the journal of every grant and its end.
--
-- lock_heads has a row for every resource that was ever locked: its highest fencing token lives there and is never lowered. lock_leases has a row
-- for every lease that is held, and for every request that waits: a waiting row becomes the held one. locks is the journal.
--
-- Lock order, for every transaction: advisory locks of owners and keys in the order of their numbers, then lock_heads in key order, then lock_leases in
-- order of lease_id. Heartbeats lock lock_leases alone, in the same order.

-- The first instant of a UUIDv7, for partition bounds.
CREATE FUNCTION locks.uuid7_floor(at timestamptz) RETURNS uuid
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;

-- The order registry: lower ranks are taken first. Changed by migrations of the owner alone.
CREATE TABLE locks.lock_classes (
    class       text     COLLATE "C" NOT NULL PRIMARY KEY,
    rank        smallint NOT NULL,
    description text     NOT NULL,
    CONSTRAINT class_is_a_name CHECK (class ~ '^[a-z][a-z0-9_-]{0,63}$'),
    CONSTRAINT class_rank_is_positive CHECK (rank > 0),
    CONSTRAINT class_rank_is_its_own UNIQUE (rank)
);

-- Every change of the registry, by whom. Written by a trigger, so that no migration can leave it out.
CREATE TABLE locks.lock_class_changes (
    change_id  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    class      text        COLLATE "C" NOT NULL,
    what       text        NOT NULL,
    rank_was   smallint,
    rank       smallint,
    changed_by text        NOT NULL DEFAULT session_user,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT class_change_is_known CHECK (what IN ('insert', 'update', 'delete'))
);

CREATE TABLE locks.lock_heads (
    tenant_id    text        COLLATE "C" NOT NULL,
    project_id   text        COLLATE "C" NOT NULL,
    class        text        COLLATE "C" NOT NULL,
    resource_key text        COLLATE "C" NOT NULL,
    -- Grows with every write of the head; every write of a lease but a heartbeat is one of a head that the lease is about too. Never behind the clock,
    -- in microseconds, so that no turn comes twice, be it after a restore. 0 before the first.
    turn         bigint      NOT NULL DEFAULT 0,
    -- The highest token ever given; 0 before the first.
    fence        bigint      NOT NULL DEFAULT 0,
    -- The number of the latest event of this resource.
    version      bigint      NOT NULL DEFAULT 0,
    -- Places ever given in its queue.
    places       bigint      NOT NULL DEFAULT 0,
    -- Whose it is; NULL where it is free. A waiting lease's: reserved for it until it has all that it asks for.
    lease_id     uuid,
    -- When the latest stale token was told of.
    rejected_at  timestamptz,
    PRIMARY KEY (tenant_id, project_id, class, resource_key),
    CONSTRAINT head_counts_are_sane CHECK (fence >= 0 AND version >= 0 AND places >= 0)
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

-- Instances that are alive: who waits through one that is not has left the queue.
CREATE TABLE locks.lock_instances (
    instance_id uuid        NOT NULL PRIMARY KEY,
    expires_at  timestamptz NOT NULL
);

-- No index on expires_at or stale_at: heartbeats stay heap-only, and the sweep reads a table as small as what is held.
CREATE TABLE locks.lock_leases (
    lease_id        uuid        NOT NULL PRIMARY KEY,
    tenant_id       text        COLLATE "C" NOT NULL,
    actor_id        text        COLLATE "C" NOT NULL,
    owner           text        COLLATE "C" NOT NULL,
    idempotency_key text        COLLATE "C",
    -- BLAKE3 of what was asked for, so that a key does not answer another request.
    request_hash    bytea       NOT NULL,
    state           text        COLLATE "C" NOT NULL,
    -- What is asked for, in the order in which it is taken, and the tokens once it is held.
    project_ids     text[]      COLLATE "C" NOT NULL,
    classes         text[]      COLLATE "C" NOT NULL,
    resource_keys   text[]      COLLATE "C" NOT NULL,
    fences          bigint[]    NOT NULL,
    ttl_ms          integer     NOT NULL,
    stale_after_ms  integer     NOT NULL,
    renewals        integer     NOT NULL,
    renewals_max    integer     NOT NULL,
    -- When it was asked for.
    asked_at        timestamptz NOT NULL,
    granted_at      timestamptz,
    expires_at      timestamptz,
    stale_at        timestamptz,
    -- The latest call that asked for it: only that one may withdraw the wait, or a grant that it was not told of.
    call_id         uuid        NOT NULL,
    -- While it waits: through which instance, and where. The resources before its place are reserved for it.
    instance_id     uuid,
    standing        smallint,
    at_project_id   text        COLLATE "C",
    at_class        text        COLLATE "C",
    at_resource_key text        COLLATE "C",
    place           bigint,
    request_id      text        NOT NULL,
    traceparent     text        NOT NULL,
    -- Of its owner.
    whose           text        COLLATE "C" GENERATED ALWAYS AS (tenant_id || ' ' || actor_id || ' ' || owner) STORED,
    CONSTRAINT lease_state_is_known CHECK (state IN ('waiting', 'held')),
    CONSTRAINT lease_names_resources CHECK (
        cardinality(resource_keys) BETWEEN 1 AND 64 AND cardinality(project_ids) = cardinality(resource_keys)
        AND cardinality(classes) = cardinality(resource_keys)
    ),
    CONSTRAINT lease_has_tokens_when_held CHECK (cardinality(fences) = CASE state WHEN 'held' THEN cardinality(resource_keys) ELSE 0 END),
    CONSTRAINT lease_ends_when_held CHECK (
        (state = 'held') = (granted_at IS NOT NULL) AND (granted_at IS NULL) = (expires_at IS NULL)
        AND (granted_at IS NULL) = (stale_at IS NULL) AND expires_at <= stale_at
    ),
    CONSTRAINT lease_stands_when_waiting CHECK (
        (state = 'waiting') = (place IS NOT NULL) AND (place IS NULL) = (instance_id IS NULL) AND (place IS NULL) = (standing IS NULL)
        AND (place IS NULL) = (at_project_id IS NULL) AND (place IS NULL) = (at_class IS NULL) AND (place IS NULL) = (at_resource_key IS NULL)
        AND standing BETWEEN 1 AND cardinality(resource_keys)
    ),
    CONSTRAINT lease_terms_are_sane CHECK (
        ttl_ms >= 1000 AND stale_after_ms >= ttl_ms AND renewals >= 0 AND renewals_max >= 0 AND octet_length(request_hash) = 32
    )
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
-- A plan is made while the table is as good as empty, when every index costs the same, and kept when it has grown. So there is one index for each look-up
-- and no other that fits: none, but those that are partial, begins with the tenant, which row-level security asks for in every query.
CREATE UNIQUE INDEX lock_leases_by_key ON locks.lock_leases (tenant_id, actor_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX lock_leases_by_owner ON locks.lock_leases (whose);
-- The queue of a resource.
CREATE UNIQUE INDEX lock_leases_by_place ON locks.lock_leases (tenant_id, at_project_id, at_class, at_resource_key, place) WHERE state = 'waiting';
CREATE INDEX lock_leases_by_instance ON locks.lock_leases (instance_id) WHERE instance_id IS NOT NULL;

-- The journal: what was granted, and how it ended. lease_id is a UUIDv7 of the request's time, or of its own for a rejected token.
CREATE TABLE locks.locks (
    lease_id        uuid        NOT NULL,
    -- Which of the lease's resources, from 1.
    ordinal         smallint    NOT NULL,
    -- 1: granted, 2: ended, 3: a token was rejected.
    entry           smallint    NOT NULL,
    what            text        COLLATE "C" NOT NULL,
    tenant_id       text        COLLATE "C" NOT NULL,
    project_id      text        COLLATE "C" NOT NULL,
    class           text        COLLATE "C" NOT NULL,
    resource_key    text        COLLATE "C" NOT NULL,
    fence           bigint      NOT NULL,
    version         bigint      NOT NULL,
    -- Whose it was, and who caused the entry: a principal, or "system:<task>".
    holder_actor_id text        NOT NULL,
    owner           text        NOT NULL,
    actor_id        text        NOT NULL,
    detail          text        NOT NULL,
    event_id        uuid        NOT NULL,
    occurred_at     timestamptz NOT NULL,
    request_id      text        NOT NULL,
    traceparent     text        NOT NULL,
    PRIMARY KEY (lease_id, ordinal, entry),
    CONSTRAINT lock_entry_says_what CHECK (
        (entry = 1 AND what = 'granted') OR (entry = 2 AND what IN ('released', 'expired', 'forced')) OR (entry = 3 AND what = 'fence_rejected')
    )
) PARTITION BY RANGE (lease_id);

-- Rows of one tenant are seen and written only by a transaction whose scope names it. Unset or empty scope: nothing.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['lock_heads', 'lock_leases', 'locks'] LOOP
        EXECUTE format('ALTER TABLE locks.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE locks.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$
            CREATE POLICY tenant_scope ON locks.%I TO holdfast_locks_app
            USING (tenant_id = ANY ((SELECT string_to_array(current_setting('holdfast.tenants', true), ','))::text[]))
            WITH CHECK (tenant_id = ANY ((SELECT string_to_array(current_setting('holdfast.tenants', true), ','))::text[]))
        $p$, name);
        EXECUTE format('CREATE POLICY background ON locks.%I TO holdfast_locks_task USING (true) WITH CHECK (true)', name);
    END LOOP;
END $$;

GRANT USAGE ON SCHEMA locks TO holdfast_locks_app, holdfast_locks_task;
GRANT SELECT ON locks.lock_classes TO holdfast_locks_app, holdfast_locks_task;
GRANT SELECT ON locks.lock_class_changes TO holdfast_locks_task;
GRANT SELECT ON locks.lock_instances TO holdfast_locks_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON locks.lock_instances TO holdfast_locks_task;
GRANT SELECT, INSERT, UPDATE ON locks.lock_heads TO holdfast_locks_app;
GRANT SELECT, UPDATE ON locks.lock_heads TO holdfast_locks_task;
GRANT SELECT, INSERT, UPDATE, DELETE ON locks.lock_leases TO holdfast_locks_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON locks.lock_leases TO holdfast_locks_task;
GRANT SELECT, INSERT ON locks.locks TO holdfast_locks_app, holdfast_locks_task;

-- What only grows: grants keep the services from changing it, this keeps the owner from it too. A leaf of the journal gets its own, since neither a leaf's
-- TRUNCATE nor a statement aimed at a leaf fires the parent's statement trigger.
CREATE FUNCTION locks.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER locks_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON locks.locks
    FOR EACH STATEMENT EXECUTE FUNCTION locks.refuse_change();
CREATE TRIGGER lock_class_changes_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON locks.lock_class_changes
    FOR EACH STATEMENT EXECUTE FUNCTION locks.refuse_change();

CREATE FUNCTION locks.record_class_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO locks.lock_class_changes (class, what, rank_was, rank)
    VALUES (coalesce(NEW.class, OLD.class), lower(TG_OP), OLD.rank, NEW.rank);
    RETURN NULL;
END $$;
CREATE TRIGGER lock_class_changes_are_recorded AFTER INSERT OR UPDATE OR DELETE ON locks.lock_classes
    FOR EACH ROW EXECUTE FUNCTION locks.record_class_change();
-- It would go past the record of changes.
CREATE TRIGGER lock_classes_are_not_truncated BEFORE TRUNCATE ON locks.lock_classes
    FOR EACH STATEMENT EXECUTE FUNCTION locks.refuse_change();

INSERT INTO locks.lock_classes (class, rank, description) VALUES
    ('infrastructure', 10, 'What others stand on: environments, clusters, deployments'),
    ('budget', 20, 'What is spent'),
    ('project', 30, 'Repositories, branches and other work of a project'),
    ('memory', 40, 'Memory of agents');

-- Makes the weekly partitions of the journal from last week's to weeks_ahead from now, where missing; answers how many it made. There is no default
-- partition: an id outside the window is refused. A leaf grants nothing and has forced row-level security without a policy, so reading it directly,
-- past the parent's policy, is refused twice. It does not wait long for the journal, since everybody who writes there would wait behind it: another run comes.
CREATE FUNCTION locks.ensure_partitions(weeks_ahead integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '1s' AS $$
DECLARE
    this_week timestamptz := date_trunc('week', clock_timestamp() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
    starts    timestamptz;
    leaf      text;
    made      integer := 0;
BEGIN
    IF weeks_ahead NOT BETWEEN 1 AND 53 THEN
        RAISE EXCEPTION 'weeks_ahead must be 1 to 53' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR week IN -1 .. weeks_ahead LOOP
        starts := this_week + make_interval(days => week * 7);
        leaf := format('locks_p%s', to_char(starts AT TIME ZONE 'UTC', 'YYYYMMDD'));
        CONTINUE WHEN to_regclass(format('locks.%I', leaf)) IS NOT NULL;
        EXECUTE format('CREATE TABLE locks.%I PARTITION OF locks.locks FOR VALUES FROM (%L) TO (%L)',
            leaf, locks.uuid7_floor(starts), locks.uuid7_floor(starts + interval '7 days'));
        EXECUTE format('ALTER TABLE locks.%I ENABLE ROW LEVEL SECURITY', leaf);
        EXECUTE format('ALTER TABLE locks.%I FORCE ROW LEVEL SECURITY', leaf);
        EXECUTE format('CREATE TRIGGER locks_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON locks.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION locks.refuse_change()', leaf);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;
REVOKE ALL ON FUNCTION locks.ensure_partitions(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION locks.ensure_partitions(integer) TO holdfast_locks_task;
