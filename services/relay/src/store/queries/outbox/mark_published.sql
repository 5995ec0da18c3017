-- One statement, so that a shard's rows and what it acknowledged move together. A holder whose epoch has passed marks
-- nothing: its successor raised the epoch, under this row's lock, before it decided what is published.
WITH held AS (
    UPDATE {schema}.outbox_shards AS acknowledged SET stream_ms = entry.ms, stream_seq = entry.seq
    FROM unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS entry (shard, epoch, ms, seq)
    WHERE acknowledged.shard = entry.shard AND acknowledged.epoch = entry.epoch
    RETURNING acknowledged.shard
), marked AS (
    -- No join: on a table that was empty when it was planned, a join would be turned round and read every unpublished row
    -- for every entry. Each row finds its entry by binary search for its position in $7, which is ascending. stream_ms
    -- stands for published_at, so that only the primary key serves. One slot: an array of them would prune no partition.
    UPDATE {schema}.outbox
    SET published_at = clock_timestamp(),
        stream_ms = ($8::bigint[])[width_bucket(position, $7::bigint[])],
        stream_seq = ($9::bigint[])[width_bucket(position, $7::bigint[])]
    WHERE slot = $5 AND outbox_id = ANY ($6::uuid[]) AND stream_ms IS NULL
        AND shard = ANY (ARRAY(SELECT held.shard FROM held))
)
SELECT shard FROM held
