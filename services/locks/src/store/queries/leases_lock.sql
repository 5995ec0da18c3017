-- Leases that are to be ended because they are stale: from here on no heartbeat renews them. In order, as heartbeats lock them.
SELECT FROM (SELECT * FROM unnest($1::uuid[], $2::text[]) AS raw (lease_id, tenant_id) ORDER BY raw.lease_id) AS item
CROSS JOIN LATERAL (
    SELECT FROM locks.lock_leases WHERE lock_leases.lease_id = item.lease_id AND lock_leases.tenant_id = item.tenant_id FOR UPDATE
) AS lease
