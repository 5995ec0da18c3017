DROP INDEX jobs.outbox_published_by_project;
CREATE OR REPLACE FUNCTION jobs.outbox_ring_advance(slot_age interval, keep interval) RETURNS smallint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    current_slot smallint;
    opened       timestamptz;
    candidate    record;
    leaf         text;
BEGIN
    SELECT slot, opened_at INTO STRICT current_slot, opened FROM jobs.outbox_ring WHERE is_current FOR UPDATE;
    IF clock_timestamp() < opened + slot_age THEN
        RETURN current_slot;
    END IF;
    FOR candidate IN
        SELECT slot FROM jobs.outbox_ring
        WHERE NOT is_current AND (closed_at IS NULL OR closed_at < clock_timestamp() - keep)
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
        UPDATE jobs.outbox_ring SET is_current = true, opened_at = clock_timestamp(), closed_at = NULL, emptied_at = clock_timestamp()
            WHERE slot = candidate.slot;
        RETURN candidate.slot;
    END LOOP;
    RETURN NULL;
END $$;
ALTER TABLE jobs.outbox_ring DROP COLUMN unpublished_at;
