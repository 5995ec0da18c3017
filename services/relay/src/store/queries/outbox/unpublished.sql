-- The first rows of each shard in position order, which within a key is key_seq order. No cursor: a lower position may
-- commit after a higher one of another key, and would be passed over.
SELECT
    waiting.slot, waiting.outbox_id, waiting.position, held.shard AS shard, waiting.ordering_key, waiting.key_seq,
    waiting.event_payload, waiting.retry_count,
    -- By the database's clock alone: the relay's own may differ.
    (extract(epoch FROM clock_timestamp() - waiting.created_at) * 1000)::float8 AS age_ms
FROM unnest($1::smallint[]) AS held (shard)
CROSS JOIN LATERAL (
    SELECT slot, outbox_id, position, ordering_key, key_seq, event_payload, retry_count, created_at
    FROM {schema}.outbox
    WHERE outbox.shard = held.shard AND published_at IS NULL AND ordering_key <> ALL ($3::text[])
    ORDER BY position
    LIMIT $2
) AS waiting
