-- WatchJobs resumes from the outbox: the events of one project behind a position of each shard's stream, in the order of the
-- stream. Rows enter the index as they are published, so that submissions pay nothing for it.
--
-- Built under a lock that keeps writers from the outbox: some seconds a million rows.
CREATE INDEX outbox_published_by_project ON jobs.outbox (tenant_id, project_id, shard, stream_ms, stream_seq)
    WHERE stream_ms IS NOT NULL;

-- When a slot that is no longer written to was last seen with an unpublished row. Events stay readable for as long as is
-- promised after their publication, not after their slot was closed: one that waited for a relay for days would otherwise
-- be gone as soon as it is published, before whoever was away comes back for it.
ALTER TABLE jobs.outbox_ring ADD COLUMN unpublished_at timestamptz;

-- As before, but for what is said of unpublished_at.
CREATE OR REPLACE FUNCTION jobs.outbox_ring_advance(slot_age interval, keep interval) RETURNS smallint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    current_slot smallint;
    opened       timestamptz;
    candidate    record;
    leaf         text;
BEGIN
    SELECT slot, opened_at INTO STRICT current_slot, opened FROM jobs.outbox_ring WHERE is_current FOR UPDATE;
    UPDATE jobs.outbox_ring AS ring SET unpublished_at = clock_timestamp()
        WHERE NOT ring.is_current AND EXISTS (SELECT FROM jobs.outbox WHERE slot = ring.slot AND published_at IS NULL);
    IF clock_timestamp() < opened + slot_age THEN
        RETURN current_slot;
    END IF;
    FOR candidate IN
        SELECT slot FROM jobs.outbox_ring
        WHERE NOT is_current AND (closed_at IS NULL OR closed_at < clock_timestamp() - keep)
            AND (unpublished_at IS NULL OR unpublished_at < clock_timestamp() - keep)
        ORDER BY (slot - current_slot + 16) % 16
    LOOP
        leaf := format('jobs.outbox_s%s', lpad(candidate.slot::text, 2, '0'));
        -- Locked before it is looked at: a slow transaction may hold rows for this slot that nobody sees yet. Where it
        -- does, or a reader is in the way, the slot is passed over this time.
        BEGIN
            EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE NOWAIT', leaf);
        EXCEPTION WHEN lock_not_available THEN
            CONTINUE;
        END;
        -- Through the parent: its policy shows the rows, the leaf's own shows none.
        CONTINUE WHEN EXISTS (SELECT FROM jobs.outbox WHERE slot = candidate.slot AND published_at IS NULL);
        EXECUTE format('TRUNCATE TABLE %s', leaf);
        UPDATE jobs.outbox_ring SET is_current = false, closed_at = clock_timestamp() WHERE slot = current_slot;
        UPDATE jobs.outbox_ring
            SET is_current = true, opened_at = clock_timestamp(), closed_at = NULL, emptied_at = clock_timestamp(), unpublished_at = NULL
            WHERE slot = candidate.slot;
        RETURN candidate.slot;
    END LOOP;
    RETURN NULL;
END $$;
