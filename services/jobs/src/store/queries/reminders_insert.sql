INSERT INTO jobs.outbox (
    slot, outbox_id, shard, tenant_id, project_id, ordering_key, key_seq, event_name, event_payload, traceparent, created_at
)
SELECT ring.slot, event_id, shard, tenant_id, project_id, ordering_key, key_seq, 'hitl.reminder.sent', event_payload, traceparent, created_at
FROM (SELECT slot FROM jobs.outbox_ring WHERE is_current) AS ring, unnest(
    $1::uuid[], $2::int2[], $3::text[], $4::text[], $5::text[], $6::int8[], $7::bytea[], $8::text[], $9::timestamptz[]
) AS item (event_id, shard, tenant_id, project_id, ordering_key, key_seq, event_payload, traceparent, created_at)
