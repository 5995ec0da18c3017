-- Slot by slot, each a scan: this happens when Redis lost entries, and an index for it would burden every publication.
UPDATE {schema}.outbox SET published_at = NULL, stream_ms = NULL, stream_seq = NULL
WHERE slot = $1 AND stream_ms IS NOT NULL AND (stream_ms, stream_seq) > (($2::bigint[])[shard + 1], ($3::bigint[])[shard + 1])
