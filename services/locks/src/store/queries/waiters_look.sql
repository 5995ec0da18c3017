-- One look for all who wait through an instance: of each queue in which one of them stands, the first of them, where the resource is nobody's, or a
-- stale lease's, and nobody who is alive stands before it: nobody
-- at all, where $2 is false and it cannot be known who is. All of them are told, so that a wait that no call attends to is found.
WITH own AS MATERIALIZED (
    SELECT lease_id, tenant_id, call_id, at_project_id, at_class, at_resource_key, place
    FROM locks.lock_leases
    WHERE instance_id = $1
), queue AS MATERIALIZED (
    SELECT tenant_id, at_project_id, at_class, at_resource_key, min(place) AS place
    FROM own
    GROUP BY tenant_id, at_project_id, at_class, at_resource_key
), ready AS MATERIALIZED (
    SELECT first.lease_id
    FROM queue
    CROSS JOIN LATERAL (
        SELECT lease_id FROM locks.lock_heads AS head
        WHERE head.tenant_id = queue.tenant_id AND head.project_id = queue.at_project_id AND head.class = queue.at_class
            AND head.resource_key = queue.at_resource_key
        LIMIT 1
    ) AS head
    CROSS JOIN LATERAL (
        SELECT lease_id FROM locks.lock_leases AS waiting
        WHERE waiting.state = 'waiting' AND waiting.tenant_id = queue.tenant_id AND waiting.at_project_id = queue.at_project_id
            AND waiting.at_class = queue.at_class AND waiting.at_resource_key = queue.at_resource_key AND waiting.place = queue.place
        LIMIT 1
    ) AS first
    WHERE (
            head.lease_id IS NULL OR EXISTS (
                SELECT FROM locks.lock_leases AS held
                WHERE held.lease_id = head.lease_id AND held.state = 'held' AND held.stale_at <= clock_timestamp()
            )
        )
        AND NOT EXISTS (
            SELECT FROM locks.lock_leases AS before
            WHERE before.state = 'waiting' AND before.tenant_id = queue.tenant_id AND before.at_project_id = queue.at_project_id
                AND before.at_class = queue.at_class AND before.at_resource_key = queue.at_resource_key AND before.place < queue.place
                AND (
                    NOT $2::bool OR EXISTS (
                        SELECT FROM locks.lock_instances AS instance
                        WHERE instance.instance_id = before.instance_id AND instance.expires_at > clock_timestamp()
                    )
                )
        )
)
SELECT
    own.lease_id AS "lease_id!", own.tenant_id AS "tenant_id!", own.call_id AS "call_id!",
    EXISTS (SELECT FROM ready WHERE ready.lease_id = own.lease_id) AS "is_ready!"
FROM own
