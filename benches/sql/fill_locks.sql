-- Leases $1 to $2 of the past six days (always within the partitions that are there), granted and released: two rows of the
-- journal each. Ten leases a resource, and a head for each resource. The id's time is the grant's; the rest of it is made of
-- its number.
WITH item AS MATERIALIZED (
    SELECT
        number,
        (substr(hex.at, 1, 8) || '-' || substr(hex.at, 9, 4) || '-7' || substr(hex.rest, 1, 3) || '-8' || substr(hex.rest, 4, 3)
            || '-' || substr(hex.rest, 7, 12))::uuid AS lease_id,
        clock.at AS granted_at,
        't' || lpad((number / 10 % 10)::text, 2, '0') AS tenant_id,
        'p' || lpad((number / 100 % 10)::text, 2, '0') AS project_id,
        'fill/' || number / 10 AS resource_key,
        number % 10 + 1 AS fence
    FROM generate_series($1::int8, $2::int8) AS number
    CROSS JOIN LATERAL (SELECT now() - interval '1 hour' - random() * interval '143 hours' + number * interval '0' AS at) AS clock
    CROSS JOIN LATERAL (
        SELECT
            lpad(to_hex(floor(extract(epoch FROM clock.at) * 1000)::int8), 12, '0') AS at,
            md5(number::text) AS rest
    ) AS hex
), head AS (
    INSERT INTO locks.lock_heads (tenant_id, project_id, class, resource_key, fence, version, places)
    SELECT tenant_id, project_id, 'project', resource_key, max(fence), 2 * max(fence), 0 FROM item GROUP BY 1, 2, 4
    ON CONFLICT (tenant_id, project_id, class, resource_key) DO NOTHING
)
INSERT INTO locks.locks (
    lease_id, ordinal, entry, what, tenant_id, project_id, class, resource_key, fence, version, holder_actor_id, owner, actor_id,
    detail, event_id, occurred_at, request_id, traceparent
)
SELECT
    item.lease_id, 1, step.entry, step.what, item.tenant_id, item.project_id, 'project', item.resource_key, item.fence,
    2 * item.fence + step.entry - 2, 'bench-user', 'fill', 'bench-user', '', gen_random_uuid(),
    item.granted_at + step.entry * interval '5 ms', 'fill', '00-' || md5(item.number::text) || '-' || substr(md5(item.number::text), 1, 16) || '-01'
FROM item
CROSS JOIN (VALUES (1, 'granted'), (2, 'released')) AS step (entry, what)
