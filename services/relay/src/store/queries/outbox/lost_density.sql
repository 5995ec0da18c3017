-- How many rows of each shard were acknowledged behind its last surviving entry, by ten seconds. $2 and $3 are indexed
-- by the shard, from 1; NULL for a shard that lost nothing.
SELECT shard, stream_ms / 10000 AS ten_seconds, count(*) AS rows
FROM {schema}.outbox
WHERE slot = $1 AND stream_ms IS NOT NULL AND (stream_ms, stream_seq) > (($2::bigint[])[shard + 1], ($3::bigint[])[shard + 1])
GROUP BY shard, stream_ms / 10000
