-- A lease that its holder asks about.
SELECT
    lease_id, tenant_id, actor_id, owner, idempotency_key, request_hash, project_ids, classes, resource_keys, fences, ttl_ms, stale_after_ms,
    renewals, renewals_max, asked_at, call_id, granted_at, expires_at, stale_at, instance_id, standing, place, request_id, traceparent,
    false AS "is_live!"
FROM locks.lock_leases
WHERE lease_id = $1 AND tenant_id = $2 AND actor_id = $3 AND state = 'held'
    AND ($4::text[] IS NULL OR project_ids <@ $4::text[])
