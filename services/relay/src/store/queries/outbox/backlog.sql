-- Bounded: a count that reaches $1 means "at least".
SELECT
    (SELECT count(*) FROM (SELECT FROM {schema}.outbox WHERE published_at IS NULL LIMIT $1) AS waiting) AS pending,
    (
        SELECT coalesce(max(extract(epoch FROM clock_timestamp() - first.created_at)), 0)::float8
        FROM unnest($2::smallint[]) AS every (shard)
        CROSS JOIN LATERAL (
            SELECT created_at FROM {schema}.outbox
            WHERE outbox.shard = every.shard AND published_at IS NULL ORDER BY position LIMIT 1
        ) AS first
    ) AS oldest_age_seconds
