DROP TABLE relay.members, relay.shard_leases;
REVOKE USAGE ON SCHEMA relay FROM holdfast_relay;
