-- The epochs name the leases that are given up: what another holder took meanwhile stays.
UPDATE relay.shard_leases AS lease SET expires_at = clock_timestamp()
FROM unnest($3::smallint[], $4::bigint[]) AS given_up (shard, epoch)
WHERE lease.source = $1 AND lease.holder = $2 AND lease.shard = given_up.shard AND lease.epoch = given_up.epoch
    AND lease.expires_at > clock_timestamp()
