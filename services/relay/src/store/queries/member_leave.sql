DELETE FROM relay.members WHERE holder = $1
