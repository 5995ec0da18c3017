-- How a lease ended, as the journal has it: told of its first resource, where all of its projects are within reach. One that nobody has ended yet, and that can
-- no longer be renewed, is over as well.
SELECT entry.what AS "what!", entry.occurred_at AS "at!", entry.holder_actor_id AS "holder!", entry.class AS "class!"
FROM locks.locks AS entry
WHERE entry.lease_id = $1 AND entry.tenant_id = $2 AND entry.entry = 2 AND entry.ordinal = 1
    AND NOT EXISTS (
        SELECT FROM locks.locks AS other
        WHERE other.lease_id = $1 AND other.tenant_id = $2 AND other.entry = 2 AND other.project_id <> ALL ($3::text[])
    )
UNION ALL
SELECT 'stale', lease.stale_at, lease.actor_id, lease.classes[1]
FROM locks.lock_leases AS lease
WHERE lease.lease_id = $1 AND lease.tenant_id = $2 AND lease.state = 'held' AND lease.stale_at <= clock_timestamp()
    AND ($3::text[] IS NULL OR lease.project_ids <@ $3::text[])
