-- The highest token of a resource, and the one under which it is held now.
SELECT
    head.fence,
    (
        SELECT lease.fences[part.ordinal]
        FROM locks.lock_leases AS lease
        CROSS JOIN LATERAL unnest(lease.project_ids, lease.classes, lease.resource_keys) WITH ORDINALITY
            AS part (project_id, class, resource_key, ordinal)
        WHERE lease.lease_id = head.lease_id AND lease.tenant_id = $1 AND lease.state = 'held' AND lease.expires_at > clock_timestamp()
            AND part.project_id = $2 AND part.class = $3 AND part.resource_key = $4
    ) AS current
FROM locks.lock_heads AS head
WHERE head.tenant_id = $1 AND head.project_id = $2 AND head.class = $3 AND head.resource_key = $4
