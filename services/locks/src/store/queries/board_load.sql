-- The leases that matter to the commands: those that they name, or that have one of the heads; those of the owners that ask; those under the keys that
-- are asked with; and of each head's queue the first whose instance is alive at
-- $13, or just the first where $14 is false: then it cannot be known who is. After the heads are locked, in a statement of its own: it sees what was
-- committed while they were waited for. Each look-up has a LIMIT or OFFSET of its own, or the plan would read all that a tenant has and join.
WITH found AS MATERIALIZED (
    SELECT lease_id, tenant_id FROM unnest($1::uuid[], $2::text[]) AS named (lease_id, tenant_id)
    UNION
    SELECT own.lease_id, asking.tenant_id
    FROM unnest($3::text[], $4::text[], $5::text[]) AS asking (tenant_id, actor_id, owner)
    CROSS JOIN LATERAL (
        SELECT lease_id FROM locks.lock_leases AS lease
        WHERE lease.tenant_id = asking.tenant_id AND lease.actor_id = asking.actor_id AND lease.owner = asking.owner
        OFFSET 0
    ) AS own
    UNION
    SELECT same.lease_id, asked.tenant_id
    FROM unnest($6::text[], $7::text[], $8::text[]) AS asked (tenant_id, actor_id, idempotency_key)
    CROSS JOIN LATERAL (
        SELECT lease_id FROM locks.lock_leases AS lease
        WHERE lease.tenant_id = asked.tenant_id AND lease.actor_id = asked.actor_id AND lease.idempotency_key = asked.idempotency_key
        LIMIT 1
    ) AS same
    UNION
    SELECT first.lease_id, name.tenant_id
    FROM unnest($9::text[], $10::text[], $11::text[], $12::text[]) AS name (tenant_id, project_id, class, resource_key)
    CROSS JOIN LATERAL (
        SELECT lease_id FROM locks.lock_leases AS waiting
        WHERE waiting.state = 'waiting' AND waiting.tenant_id = name.tenant_id AND waiting.at_project_id = name.project_id
            AND waiting.at_class = name.class AND waiting.at_resource_key = name.resource_key
            AND (
                NOT $14::bool OR EXISTS (
                    SELECT FROM locks.lock_instances AS instance
                    WHERE instance.instance_id = waiting.instance_id AND instance.expires_at > $13::timestamptz
                )
            )
        ORDER BY waiting.place
        LIMIT 1
    ) AS first
)
SELECT
    lease.lease_id, lease.tenant_id, lease.actor_id, lease.owner, lease.idempotency_key, lease.request_hash, lease.project_ids, lease.classes,
    lease.resource_keys, lease.fences, lease.ttl_ms, lease.stale_after_ms, lease.renewals, lease.renewals_max, lease.asked_at, lease.call_id,
    lease.granted_at, lease.expires_at, lease.stale_at, lease.instance_id, lease.standing, lease.place, lease.request_id, lease.traceparent,
    (
        NOT $14::bool OR EXISTS (
            SELECT FROM locks.lock_instances AS instance
            WHERE instance.instance_id = lease.instance_id AND instance.expires_at > $13::timestamptz
        )
    ) AS "is_live!"
FROM found
CROSS JOIN LATERAL (
    SELECT * FROM locks.lock_leases WHERE lock_leases.lease_id = found.lease_id AND lock_leases.tenant_id = found.tenant_id LIMIT 1
) AS lease
