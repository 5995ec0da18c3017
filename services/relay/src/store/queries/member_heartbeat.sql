INSERT INTO relay.members AS member (holder, sources, expires_at)
VALUES ($1, ARRAY[$2::text], clock_timestamp() + make_interval(secs => $3))
ON CONFLICT (holder) DO UPDATE SET
    sources = CASE WHEN $2 = ANY (member.sources) THEN member.sources ELSE member.sources || $2 END,
    expires_at = excluded.expires_at
