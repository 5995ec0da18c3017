SELECT
    lease_id, tenant_id, project_ids, classes, resource_keys, fences, expires_at AS "expires_at!", stale_at AS "stale_at!", renewals, renewals_max
FROM locks.lock_leases
WHERE state = 'held' AND lease_id > $1
ORDER BY lease_id
LIMIT $2
