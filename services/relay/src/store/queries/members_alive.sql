SELECT count(*) AS "alive!" FROM relay.members WHERE expires_at > clock_timestamp()
