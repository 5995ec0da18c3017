-- Takes up to $5 shards that nobody holds, and answers which it found, with an epoch where it got them: another relay that
-- takes at once may be first. In shard order, so that two such wait for each other and never in a circle. The epoch is
-- never behind the clock: after a failover that lost the last change of hands, the next holder still comes with a higher one.
WITH free AS (
    SELECT wanted.shard
    FROM unnest($4::smallint[]) AS wanted (shard)
    WHERE NOT EXISTS (
        SELECT FROM relay.shard_leases AS held
        WHERE held.source = $1 AND held.shard = wanted.shard AND held.expires_at > clock_timestamp()
    )
    ORDER BY wanted.shard
    LIMIT $5
), taken AS (
    INSERT INTO relay.shard_leases AS lease (source, shard, holder, epoch, expires_at)
    SELECT $1, shard, $2, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, clock_timestamp() + make_interval(secs => $3)
    FROM free
    ORDER BY shard
    ON CONFLICT (source, shard) DO UPDATE
        SET holder = excluded.holder, epoch = greatest(lease.epoch + 1, excluded.epoch), expires_at = excluded.expires_at
        WHERE lease.expires_at <= clock_timestamp()
    RETURNING shard, epoch
)
SELECT free.shard AS "shard!", taken.epoch AS "epoch?" FROM free LEFT JOIN taken USING (shard)
