-- A lease that has expired is not renewed even where nobody took it: it has to be taken, with a new epoch.
UPDATE relay.shard_leases SET expires_at = clock_timestamp() + make_interval(secs => $3)
WHERE source = $1 AND holder = $2 AND expires_at > clock_timestamp()
RETURNING shard, epoch
