UPDATE {schema}.outbox_shards AS acknowledged
SET epoch = settled.epoch, incarnation = settled.incarnation, stream_ms = settled.ms, stream_seq = settled.seq
FROM unnest($1::smallint[], $2::bigint[], $3::uuid[], $4::bigint[], $5::bigint[]) AS settled (shard, epoch, incarnation, ms, seq)
WHERE acknowledged.shard = settled.shard
