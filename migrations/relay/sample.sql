-- A row in every table of schema relay, for the rehearsal of its migrations.
INSERT INTO relay.shard_leases (source, shard, holder, epoch, expires_at) VALUES ('jobs', 0, 'rehearsal', 1, clock_timestamp());
INSERT INTO relay.members (holder, sources, expires_at) VALUES ('rehearsal', '{jobs,locks}', clock_timestamp());
