-- Waits through instances that are not alive. Instance by instance, so that the many who wait through one that is cost one look.
WITH RECURSIVE through AS (
    (SELECT instance_id FROM locks.lock_leases WHERE instance_id IS NOT NULL ORDER BY instance_id LIMIT 1)
    UNION ALL
    SELECT (
        SELECT waiting.instance_id FROM locks.lock_leases AS waiting
        WHERE waiting.instance_id > through.instance_id
        ORDER BY waiting.instance_id LIMIT 1
    )
    FROM through
    WHERE through.instance_id IS NOT NULL
)
SELECT lease.lease_id AS "lease_id!", lease.tenant_id AS "tenant_id!"
FROM through
CROSS JOIN LATERAL (
    SELECT lease_id, tenant_id FROM locks.lock_leases
    WHERE instance_id = through.instance_id
    LIMIT $1
) AS lease
WHERE NOT EXISTS (
    SELECT FROM locks.lock_instances AS instance
    WHERE instance.instance_id = through.instance_id AND instance.expires_at > clock_timestamp()
)
LIMIT $1
