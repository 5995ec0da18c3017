-- What the commands of a batch came to: heads, leases that wait, are granted, were asked for again or have ended, an entry of the journal and an event
-- for each grant and each end. The heads are locked before. Lists of names are joined by spaces, which no name holds.
WITH heads AS (
    UPDATE locks.lock_heads AS head SET
        fence = item.fence, version = item.version, places = item.places, lease_id = item.lease_id, rejected_at = item.rejected_at
    FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::text[], $5::int8[], $6::int8[], $7::int8[], $8::uuid[], $9::timestamptz[]
    ) AS item (tenant_id, project_id, class, resource_key, fence, version, places, lease_id, rejected_at)
    WHERE head.tenant_id = item.tenant_id AND head.project_id = item.project_id AND head.class = item.class
        AND head.resource_key = item.resource_key
), removed AS (
    DELETE FROM locks.lock_leases AS lease USING unnest($10::uuid[], $11::text[]) AS item (lease_id, tenant_id)
    WHERE lease.lease_id = item.lease_id AND lease.tenant_id = item.tenant_id
), told AS (
    -- Held: nothing of it but the call that was told of it, since heartbeats move the rest.
    UPDATE locks.lock_leases AS lease SET call_id = item.call_id
    FROM unnest($12::uuid[], $13::text[], $14::uuid[]) AS item (lease_id, tenant_id, call_id)
    WHERE lease.lease_id = item.lease_id AND lease.tenant_id = item.tenant_id
), put AS (
    INSERT INTO locks.lock_leases (
        lease_id, tenant_id, actor_id, owner, idempotency_key, request_hash, state, project_ids, classes, resource_keys, fences, ttl_ms,
        stale_after_ms, renewals, renewals_max, asked_at, call_id, granted_at, expires_at, stale_at, instance_id, standing, at_project_id,
        at_class, at_resource_key, place, request_id, traceparent
    )
    SELECT
        lease_id, tenant_id, actor_id, owner, idempotency_key, request_hash, CASE WHEN granted_at IS NULL THEN 'waiting' ELSE 'held' END,
        string_to_array(project_ids, ' '), string_to_array(classes, ' '), string_to_array(resource_keys, ' '),
        string_to_array(fences, ' ')::int8[], ttl_ms, stale_after_ms, 0, renewals_max, asked_at, call_id, granted_at, expires_at, stale_at,
        instance_id, standing, (string_to_array(project_ids, ' '))[standing], (string_to_array(classes, ' '))[standing],
        (string_to_array(resource_keys, ' '))[standing], place, request_id, traceparent
    FROM unnest(
        $15::uuid[], $16::text[], $17::text[], $18::text[], $19::text[], $20::bytea[], $21::text[], $22::text[], $23::text[], $24::text[],
        $25::int4[], $26::int4[], $27::int4[], $28::timestamptz[], $29::uuid[], $30::timestamptz[], $31::timestamptz[], $32::timestamptz[],
        $33::uuid[], $34::int2[], $35::int8[], $36::text[], $37::text[]
    ) AS item (
        lease_id, tenant_id, actor_id, owner, idempotency_key, request_hash, project_ids, classes, resource_keys, fences,
        ttl_ms, stale_after_ms, renewals_max, asked_at, call_id, granted_at, expires_at, stale_at,
        instance_id, standing, place, request_id, traceparent
    )
    ON CONFLICT (lease_id) DO UPDATE SET
        state = excluded.state, fences = excluded.fences, call_id = excluded.call_id, granted_at = excluded.granted_at,
        expires_at = excluded.expires_at, stale_at = excluded.stale_at, instance_id = excluded.instance_id, standing = excluded.standing,
        at_project_id = excluded.at_project_id, at_class = excluded.at_class, at_resource_key = excluded.at_resource_key,
        place = excluded.place
    WHERE lock_leases.tenant_id = excluded.tenant_id
), entry AS MATERIALIZED (
    SELECT * FROM unnest(
        $38::uuid[], $39::int2[], $40::int2[], $41::text[], $42::text[], $43::text[], $44::text[], $45::text[], $46::int8[], $47::int8[],
        $48::text[], $49::text[], $50::text[], $51::text[], $52::uuid[], $53::timestamptz[], $54::text[], $55::text[], $56::int2[],
        $57::text[], $58::bytea[]
    ) AS entry (
        lease_id, ordinal, entry, what, tenant_id, project_id, class, resource_key, fence, version,
        holder_actor_id, owner, actor_id, detail, event_id, occurred_at, request_id, traceparent, shard,
        ordering_key, event_payload
    )
), journal AS (
    INSERT INTO locks.locks (
        lease_id, ordinal, entry, what, tenant_id, project_id, class, resource_key, fence, version, holder_actor_id, owner, actor_id, detail,
        event_id, occurred_at, request_id, traceparent
    )
    SELECT
        lease_id, ordinal, entry, what, tenant_id, project_id, class, resource_key, fence, version, holder_actor_id, owner, actor_id, detail,
        event_id, occurred_at, request_id, traceparent
    FROM entry
)
INSERT INTO locks.outbox (
    slot, outbox_id, shard, tenant_id, project_id, ordering_key, key_seq, event_name, event_payload, traceparent, created_at
)
SELECT
    ring.slot, event_id, shard, tenant_id, project_id, ordering_key, version, 'lock.' || what, event_payload, traceparent, occurred_at
FROM (SELECT slot FROM locks.outbox_ring WHERE is_current) AS ring, entry
