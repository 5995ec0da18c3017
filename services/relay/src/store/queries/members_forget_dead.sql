DELETE FROM relay.members WHERE expires_at < clock_timestamp() - interval '1 minute'
