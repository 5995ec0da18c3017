-- Locks every head that the commands touch: those that they name, and those of the leases that they name. First the owners and idempotency keys that
-- ask, by number, so that two calls of one owner see each other's leases; then the heads in key order, each looked up and locked by itself (a join
-- would leave the order to the plan). Each lease is looked for in the tenant of its own command only: the scope of a batch is the union over its callers.
WITH guard AS MATERIALIZED (
    SELECT count(taken.is_taken) AS taken
    FROM (
        SELECT pg_advisory_xact_lock(number)::text AS is_taken
        FROM (SELECT DISTINCT number FROM unnest($7::int8[]) AS asking (number) ORDER BY number) AS numbers
    ) AS taken
), wanted AS MATERIALIZED (
    SELECT tenant_id, project_id, class, resource_key
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS name (tenant_id, project_id, class, resource_key)
    UNION
    SELECT item.tenant_id, part.project_id, part.class, part.resource_key
    FROM unnest($5::uuid[], $6::text[]) AS item (lease_id, tenant_id)
    CROSS JOIN LATERAL (
        SELECT project_ids, classes, resource_keys FROM locks.lock_leases
        WHERE lock_leases.lease_id = item.lease_id AND lock_leases.tenant_id = item.tenant_id
        LIMIT 1
    ) AS lease
    CROSS JOIN LATERAL unnest(lease.project_ids, lease.classes, lease.resource_keys) AS part (project_id, class, resource_key)
)
SELECT
FROM guard
CROSS JOIN LATERAL (
    SELECT * FROM wanted WHERE guard.taken >= 0
    ORDER BY wanted.tenant_id COLLATE "C", wanted.project_id COLLATE "C", wanted.class COLLATE "C", wanted.resource_key COLLATE "C"
) AS name
CROSS JOIN LATERAL (
    SELECT FROM locks.lock_heads
    WHERE lock_heads.tenant_id = name.tenant_id AND lock_heads.project_id = name.project_id AND lock_heads.class = name.class
        AND lock_heads.resource_key = name.resource_key
    FOR UPDATE
) AS head
