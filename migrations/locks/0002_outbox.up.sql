-- The transactional outbox: every event commits with the change it reports, and waits here for a relay.
--
-- position orders a shard. It is drawn from a sequence after the row of the ordering key is locked, so within one key it
-- grows with key_seq; an outbox_id, made before the transaction, would not. A lower position may still commit later than
-- a higher one (of another key): relays therefore scan what is unpublished and keep no cursor.
--
-- The table is a ring of partitions that are emptied by TRUNCATE, never by DELETE. Rows stay readable after publication
-- until the ring comes round; a slot with an unpublished row is skipped.

CREATE SEQUENCE locks.outbox_position AS bigint;

CREATE TABLE locks.outbox (
    slot          smallint    NOT NULL,
    outbox_id     uuid        NOT NULL,
    position      bigint      NOT NULL DEFAULT nextval('locks.outbox_position'),
    shard         smallint    NOT NULL,
    tenant_id     text        COLLATE "C" NOT NULL,
    project_id    text        COLLATE "C" NOT NULL,
    ordering_key  text        COLLATE "C" NOT NULL,
    key_seq       bigint      NOT NULL,
    event_name    text        NOT NULL,
    event_payload bytea       NOT NULL,
    traceparent   text        NOT NULL,
    created_at    timestamptz NOT NULL,
    published_at  timestamptz,
    retry_count   smallint    NOT NULL DEFAULT 0,
    -- The stream entry that the broker acknowledged, so that a stream that lost entries can be told which.
    stream_ms     bigint,
    stream_seq    bigint,
    -- The id first: a slot has one value per partition, so an index that began with it would be read whole, by a plan made
    -- while the partition was empty, for every batch of ids.
    PRIMARY KEY (outbox_id, slot),
    CONSTRAINT outbox_published_names_its_entry CHECK ((published_at IS NULL) = (stream_ms IS NULL) AND (stream_ms IS NULL) = (stream_seq IS NULL))
) PARTITION BY LIST (slot);

CREATE INDEX outbox_unpublished ON locks.outbox (shard, position) WHERE published_at IS NULL;

-- Which slot is written to, and since when. One row is current.
CREATE TABLE locks.outbox_ring (
    slot       smallint    NOT NULL PRIMARY KEY,
    is_current boolean     NOT NULL,
    -- When the slot last became current; NULL before the first time.
    opened_at  timestamptz,
    -- When another slot became current; a transaction that began before may still write here a little later.
    closed_at  timestamptz,
    emptied_at timestamptz,
    -- When it was last seen with an unpublished row after it was closed: events stay readable from their publication on, not from the closing.
    unpublished_at timestamptz
);
CREATE UNIQUE INDEX outbox_ring_has_one_current ON locks.outbox_ring (is_current) WHERE is_current;

-- What each shard's stream has acknowledged, written in the transaction that marks the rows published.
CREATE TABLE locks.outbox_shards (
    shard       smallint NOT NULL PRIMARY KEY,
    -- Of the relay lease under which this was written; it only grows.
    epoch       bigint   NOT NULL,
    -- Which life of the stream the entry belongs to; a new one after Redis lost it.
    incarnation uuid,
    stream_ms   bigint   NOT NULL,
    stream_seq  bigint   NOT NULL
);

DO $$
BEGIN
    FOR slot IN 0 .. 15 LOOP
        EXECUTE format('CREATE TABLE locks.outbox_s%s PARTITION OF locks.outbox FOR VALUES IN (%s) '
            'WITH (autovacuum_vacuum_scale_factor = 0.2, autovacuum_vacuum_cost_delay = 0)', lpad(slot::text, 2, '0'), slot);
        EXECUTE format('ALTER TABLE locks.outbox_s%s ENABLE ROW LEVEL SECURITY', lpad(slot::text, 2, '0'));
        EXECUTE format('ALTER TABLE locks.outbox_s%s FORCE ROW LEVEL SECURITY', lpad(slot::text, 2, '0'));
    END LOOP;
END $$;
INSERT INTO locks.outbox_ring (slot, is_current, opened_at)
    SELECT slot, slot = 0, CASE WHEN slot = 0 THEN clock_timestamp() END FROM generate_series(0, 15) AS slot;
-- Sixteen shards: the bound on relays that work in parallel. Changing it needs an empty outbox.
INSERT INTO locks.outbox_shards (shard, epoch, stream_ms, stream_seq)
    SELECT shard, 0, 0, 0 FROM generate_series(0, 15) AS shard;

ALTER TABLE locks.outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE locks.outbox FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_scope ON locks.outbox TO holdfast_locks_app
    USING (tenant_id = ANY ((SELECT string_to_array(current_setting('holdfast.tenants', true), ','))::text[]))
    WITH CHECK (tenant_id = ANY ((SELECT string_to_array(current_setting('holdfast.tenants', true), ','))::text[]));
CREATE POLICY background ON locks.outbox TO holdfast_locks_task USING (true) WITH CHECK (true);
CREATE POLICY relay ON locks.outbox TO holdfast_relay USING (true) WITH CHECK (true);
-- For locks.outbox_ring_advance alone, which must see whether anything is unpublished. Without it forced row-level
-- security would show the owner an empty slot, and the slot would be truncated with its events.
CREATE POLICY ring_sees_unpublished ON locks.outbox FOR SELECT TO holdfast_locks_owner USING (true);

GRANT USAGE ON SCHEMA locks TO holdfast_relay;
GRANT SELECT, INSERT ON locks.outbox TO holdfast_locks_app, holdfast_locks_task;
GRANT USAGE ON SEQUENCE locks.outbox_position TO holdfast_locks_app, holdfast_locks_task;
GRANT SELECT ON locks.outbox_ring TO holdfast_locks_app, holdfast_locks_task, holdfast_relay;
GRANT SELECT, UPDATE (published_at, retry_count, stream_ms, stream_seq) ON locks.outbox TO holdfast_relay;
GRANT SELECT, UPDATE ON locks.outbox_shards TO holdfast_relay;

-- Moves the ring on where the current slot has been open for slot_age: the next slot whose rows are all published and
-- were closed, and last seen unpublished, at least keep ago is emptied and becomes current. Answers the slot that is current now, or NULL where no slot
-- could be freed: then the current one goes on being filled and the caller raises the alarm.
CREATE FUNCTION locks.outbox_ring_advance(slot_age interval, keep interval) RETURNS smallint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    current_slot smallint;
    opened       timestamptz;
    candidate    record;
    leaf         text;
BEGIN
    SELECT slot, opened_at INTO STRICT current_slot, opened FROM locks.outbox_ring WHERE is_current FOR UPDATE;
    UPDATE locks.outbox_ring AS ring SET unpublished_at = clock_timestamp()
        WHERE NOT ring.is_current AND EXISTS (SELECT FROM locks.outbox WHERE slot = ring.slot AND published_at IS NULL);
    IF clock_timestamp() < opened + slot_age THEN
        RETURN current_slot;
    END IF;
    FOR candidate IN
        SELECT slot FROM locks.outbox_ring
        WHERE NOT is_current AND (closed_at IS NULL OR closed_at < clock_timestamp() - keep)
            AND (unpublished_at IS NULL OR unpublished_at < clock_timestamp() - keep)
        ORDER BY (slot - current_slot + 16) % 16
    LOOP
        leaf := format('locks.outbox_s%s', lpad(candidate.slot::text, 2, '0'));
        -- Locked before it is looked at: a slow transaction may hold rows for this slot that nobody sees yet. Where it
        -- does, or a reader is in the way, the slot is passed over this time.
        BEGIN
            EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE NOWAIT', leaf);
        EXCEPTION WHEN lock_not_available THEN
            CONTINUE;
        END;
        -- Through the parent: its policy shows the rows, the leaf's own shows none.
        CONTINUE WHEN EXISTS (SELECT FROM locks.outbox WHERE slot = candidate.slot AND published_at IS NULL);
        EXECUTE format('TRUNCATE TABLE %s', leaf);
        UPDATE locks.outbox_ring SET is_current = false, closed_at = clock_timestamp() WHERE slot = current_slot;
        UPDATE locks.outbox_ring
            SET is_current = true, opened_at = clock_timestamp(), closed_at = NULL, emptied_at = clock_timestamp(), unpublished_at = NULL
            WHERE slot = candidate.slot;
        RETURN candidate.slot;
    END LOOP;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION locks.outbox_ring_advance(interval, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION locks.outbox_ring_advance(interval, interval) TO holdfast_locks_task;
