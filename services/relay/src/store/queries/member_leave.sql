-- Whoever publishes nothing any more is dead at once: an earlier version counts every member that is alive.
UPDATE relay.members
SET sources = array_remove(sources, $2),
    expires_at = CASE WHEN sources <@ ARRAY[$2::text] THEN clock_timestamp() ELSE expires_at END
WHERE holder = $1
