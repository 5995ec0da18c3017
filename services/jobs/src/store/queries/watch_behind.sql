-- What of a project stands behind an entry of each shard's stream ($3 and $4, by the shard): what is published, at most $5
-- a shard and in the order of the stream, and all that is not published yet, up to $6. One statement, and so one moment: what
-- the relay takes back, to publish it again, is among the one or the other.
SELECT
    (behind.number - 1)::int2 AS "shard!", event.outbox_id AS "outbox_id!", event.ordering_key AS "ordering_key!",
    event.key_seq AS "key_seq!", event.stream_ms, event.stream_seq, event.position AS "position!"
FROM unnest($3::bigint[], $4::bigint[]) WITH ORDINALITY AS behind (ms, seq, number)
CROSS JOIN LATERAL (
    SELECT published.outbox_id, published.ordering_key, published.key_seq, published.stream_ms, published.stream_seq, published.position
    FROM jobs.outbox AS published
    WHERE published.tenant_id = $1 AND published.project_id = $2 AND published.shard = (behind.number - 1)::int2
        AND published.stream_ms IS NOT NULL AND (published.stream_ms, published.stream_seq) > (behind.ms, behind.seq)
    ORDER BY published.stream_ms, published.stream_seq
    LIMIT $5
) AS event
UNION ALL (
    SELECT waiting.shard, waiting.outbox_id, waiting.ordering_key, waiting.key_seq, NULL, NULL, waiting.position
    FROM jobs.outbox AS waiting
    WHERE waiting.tenant_id = $1 AND waiting.project_id = $2 AND waiting.published_at IS NULL
    LIMIT $6
)
