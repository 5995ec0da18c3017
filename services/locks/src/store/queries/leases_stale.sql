-- Through the primary key: what is held is little, and no index has to be kept by every heartbeat.
SELECT lease_id, tenant_id FROM locks.lock_leases
WHERE state = 'held' AND stale_at <= clock_timestamp()
ORDER BY lease_id
LIMIT $1
