-- Where a watch of a project begins that begins now: behind the newest published event of each shard, and behind those that
-- are not published yet, up to $3.
SELECT every.shard::int2 AS "shard!", newest.outbox_id AS "outbox_id!", newest.stream_ms, newest.stream_seq
FROM generate_series(0, 15) AS every (shard)
CROSS JOIN LATERAL (
    SELECT published.outbox_id, published.stream_ms, published.stream_seq
    FROM jobs.outbox AS published
    WHERE published.tenant_id = $1 AND published.project_id = $2 AND published.shard = every.shard::int2
        AND published.stream_ms IS NOT NULL
    ORDER BY published.stream_ms DESC, published.stream_seq DESC
    LIMIT 1
) AS newest
UNION ALL (
    SELECT waiting.shard, waiting.outbox_id, NULL, NULL
    FROM jobs.outbox AS waiting
    WHERE waiting.tenant_id = $1 AND waiting.project_id = $2 AND waiting.published_at IS NULL
    LIMIT $3
)
