DROP FUNCTION jobs.outbox_ring_advance(interval, interval);
DROP TABLE jobs.outbox_shards, jobs.outbox_ring, jobs.outbox;
DROP SEQUENCE jobs.outbox_position;
REVOKE USAGE ON SCHEMA jobs FROM holdfast_relay;
