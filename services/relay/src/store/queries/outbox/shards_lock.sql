-- From here to the commit nobody marks rows of these shards. In shard order, so that two relays never wait in a circle.
SELECT shard, epoch, stream_ms, stream_seq
FROM {schema}.outbox_shards WHERE shard = ANY ($1::smallint[]) ORDER BY shard FOR UPDATE
