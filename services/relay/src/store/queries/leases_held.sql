SELECT shard, epoch FROM relay.shard_leases WHERE source = $1 AND holder = $2 AND expires_at > clock_timestamp()
