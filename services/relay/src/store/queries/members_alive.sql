SELECT count(*) AS "alive!" FROM relay.members WHERE $1 = ANY (sources) AND expires_at > clock_timestamp()
