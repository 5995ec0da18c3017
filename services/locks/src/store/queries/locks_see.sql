-- How resources stand: their heads, whoever has them, and their queues, of which those have left whose instance is dead. Each looked up by itself.
SELECT
    name.ordinal AS "ordinal!", coalesce(head.fence, 0) AS "fence!", coalesce(head.version, 0) AS "version!",
    holder.lease_id AS "lease_id?", holder.actor_id AS "actor_id?", holder.owner AS "owner?", holder.renewals AS "renewals?",
    holder.granted_at AS "granted_at?", holder.expires_at AS "expires_at?", holder.stale_at AS "stale_at?",
    -- None of a lease that waits for more: then it is reserved.
    (
        SELECT holder.fences[part.ordinal]
        FROM unnest(holder.project_ids, holder.classes, holder.resource_keys) WITH ORDINALITY
            AS part (project_id, class, resource_key, ordinal)
        WHERE part.project_id = name.project_id AND part.class = name.class AND part.resource_key = name.resource_key
    ) AS "holder_fence?",
    queue.waiter_count AS "waiter_count!", queue.actors AS "waiting_actors!", queue.owners AS "waiting_owners!", queue.since AS "waiting_since!"
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY
    AS name (tenant_id, project_id, class, resource_key, ordinal)
LEFT JOIN LATERAL (
    SELECT * FROM locks.lock_heads
    WHERE lock_heads.tenant_id = name.tenant_id AND lock_heads.project_id = name.project_id AND lock_heads.class = name.class
        AND lock_heads.resource_key = name.resource_key
    LIMIT 1
) AS head ON true
LEFT JOIN LATERAL (
    SELECT * FROM locks.lock_leases WHERE lock_leases.lease_id = head.lease_id AND lock_leases.tenant_id = name.tenant_id LIMIT 1
) AS holder ON true
CROSS JOIN LATERAL (
    SELECT
        count(*) AS waiter_count,
        coalesce((array_agg(waiting.actor_id ORDER BY waiting.place))[:$5], '{}') AS actors,
        coalesce((array_agg(waiting.owner ORDER BY waiting.place))[:$5], '{}') AS owners,
        coalesce((array_agg(waiting.asked_at ORDER BY waiting.place))[:$5], '{}') AS since
    FROM locks.lock_leases AS waiting
    WHERE waiting.state = 'waiting' AND waiting.tenant_id = name.tenant_id AND waiting.at_project_id = name.project_id
        AND waiting.at_class = name.class AND waiting.at_resource_key = name.resource_key
        AND EXISTS (
            SELECT FROM locks.lock_instances AS instance
            WHERE instance.instance_id = waiting.instance_id AND instance.expires_at > clock_timestamp()
        )
) AS queue
