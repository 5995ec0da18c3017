INSERT INTO jobs.outbox (
    slot, outbox_id, shard, tenant_id, project_id, ordering_key, key_seq, event_name, event_payload, traceparent, created_at
)
SELECT ring.slot, event_id, shard, $1, '', ordering_key, 1, 'operations.table_row_count.passed', event_payload, traceparent, created_at
FROM (SELECT slot FROM jobs.outbox_ring WHERE is_current) AS ring, unnest(
    $2::uuid[], $3::int2[], $4::text[], $5::bytea[], $6::text[], $7::timestamptz[]
) AS item (event_id, shard, ordering_key, event_payload, traceparent, created_at)
