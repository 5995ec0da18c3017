-- Renews leases whose holder is still the holder, by the database's clock: until they are stale, and as often as they may be. A renewal whose number is not
-- higher than the last is a repetition: it is answered as the lease stands, and moves nothing. Each item is looked for with the rights of its own caller, so
-- that nobody's heartbeat stands in for another's; locked in order of lease ids.
WITH held AS MATERIALIZED (
    SELECT
        item.ordinal, lease.lease_id, lease.tenant_id, lease.project_ids, lease.classes, lease.resource_keys, lease.fences, lease.ttl_ms,
        lease.stale_after_ms, lease.renewals, lease.renewals_max, lease.expires_at, lease.stale_at,
        coalesce(item.renewal <= lease.renewals, false) AS is_repeated
    FROM (
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int4[]) WITH ORDINALITY
            AS raw (lease_id, tenant_id, actor_id, projects, renewal, ordinal)
        ORDER BY raw.lease_id
    ) AS item
    CROSS JOIN LATERAL (
        SELECT * FROM locks.lock_leases AS lease
        WHERE lease.lease_id = item.lease_id AND lease.tenant_id = item.tenant_id AND lease.actor_id = item.actor_id AND lease.state = 'held'
            AND (item.projects IS NULL OR lease.project_ids <@ string_to_array(item.projects, ','))
        FOR NO KEY UPDATE
    ) AS lease
), moment AS MATERIALIZED (
    -- After the locks.
    SELECT clock_timestamp() AS now FROM (SELECT count(*) AS locked FROM held) AS all_held WHERE all_held.locked >= 0
), moved AS MATERIALIZED (
    -- Each lease once, however many heartbeats of it came together.
    SELECT
        held.lease_id, held.tenant_id, held.renewals + 1 AS renewals,
        greatest(held.expires_at, moment.now + held.ttl_ms * interval '1 millisecond') AS expires_at,
        greatest(held.stale_at, moment.now + held.stale_after_ms * interval '1 millisecond') AS stale_at
    FROM held CROSS JOIN moment
    WHERE held.ordinal IN (SELECT min(ordinal) FROM held AS first WHERE NOT first.is_repeated GROUP BY first.lease_id)
        AND held.stale_at > moment.now AND held.renewals < held.renewals_max
), renewed AS (
    UPDATE locks.lock_leases AS lease SET expires_at = moved.expires_at, stale_at = moved.stale_at, renewals = moved.renewals
    FROM moved
    WHERE lease.lease_id = moved.lease_id AND lease.tenant_id = moved.tenant_id
)
SELECT
    held.ordinal AS "ordinal!", held.lease_id, held.tenant_id, held.project_ids, held.classes, held.resource_keys, held.fences,
    CASE
        WHEN held.stale_at <= moment.now THEN 'over'
        WHEN held.is_repeated OR moved.lease_id IS NOT NULL THEN 'renewed'
        ELSE 'exhausted'
    END AS "outcome!",
    coalesce(moved.expires_at, held.expires_at) AS "expires_at!", coalesce(moved.stale_at, held.stale_at) AS "stale_at!",
    coalesce(moved.renewals, held.renewals) AS "renewals!", held.renewals_max, moment.now AS "now!"
FROM held CROSS JOIN moment LEFT JOIN moved ON moved.lease_id = held.lease_id
