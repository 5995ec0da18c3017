DROP FUNCTION locks.outbox_ring_advance(interval, interval);
DROP TABLE locks.outbox_shards, locks.outbox_ring, locks.outbox;
DROP SEQUENCE locks.outbox_position;
REVOKE USAGE ON SCHEMA locks FROM holdfast_relay;
