INSERT INTO relay.members (holder, expires_at)
VALUES ($1, clock_timestamp() + make_interval(secs => $2))
ON CONFLICT (holder) DO UPDATE SET expires_at = excluded.expires_at
