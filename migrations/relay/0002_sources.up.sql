-- Which outboxes a relay publishes: a fair share of an outbox's shards is counted among those that publish it, or the share
-- of one that does not would be published by nobody. An earlier version publishes jobs and does not say so.
ALTER TABLE relay.members ADD COLUMN sources text[] NOT NULL DEFAULT '{jobs}';
