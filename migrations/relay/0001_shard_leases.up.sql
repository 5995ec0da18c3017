-- Which relay publishes which shard of which outbox. A lease is taken and renewed by predicate on the database's clock;
-- the epoch grows with every change of hands and travels with every publication, so that a relay that slept through
-- its expiry can publish nothing.
CREATE TABLE relay.shard_leases (
    source     text        COLLATE "C" NOT NULL,
    shard      smallint    NOT NULL,
    holder     text        NOT NULL,
    epoch      bigint      NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (source, shard)
);

-- The relays that are alive, so that each knows its fair share of the shards.
CREATE TABLE relay.members (
    holder     text        NOT NULL PRIMARY KEY,
    expires_at timestamptz NOT NULL
);

GRANT USAGE ON SCHEMA relay TO holdfast_relay;
GRANT SELECT, INSERT, UPDATE, DELETE ON relay.shard_leases, relay.members TO holdfast_relay;
