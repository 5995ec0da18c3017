INSERT INTO jobs.outbox (
    slot, outbox_id, shard, tenant_id, project_id, ordering_key, key_seq, event_name, event_payload, traceparent, created_at
)
SELECT ring.slot, event_id, shard, tenant_id, project_id, ordering_key, 1, 'job.queue_overdue', event_payload, traceparent, created_at
FROM (SELECT slot FROM jobs.outbox_ring WHERE is_current) AS ring, unnest(
    $1::uuid[], $2::int2[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[], $8::timestamptz[]
) AS item (event_id, shard, tenant_id, project_id, ordering_key, event_payload, traceparent, created_at)
