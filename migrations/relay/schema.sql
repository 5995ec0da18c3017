-- Schema relay as its migrations leave it, read from the catalogue: a record to review, not a script to run.
-- Made by `HOLDFAST_SCHEMA_WRITE=1 cargo test -p holdfast-pg --test it snapshot`; the same test without the variable
-- compares. Weekly partitions and schema_migrations are left out.

schema relay owner holdfast_relay_owner
  grant CREATE, USAGE to holdfast_relay_owner
  grant USAGE to holdfast_relay

table relay.members owner holdfast_relay_owner
  column holder text not null
  column expires_at timestamp with time zone not null
  column sources text[] not null default '{jobs}'::text[]
  constraint members_pkey PRIMARY KEY (holder)
  grant DELETE, INSERT, SELECT, UPDATE to holdfast_relay

table relay.shard_leases owner holdfast_relay_owner
  column source text collate "C" not null
  column shard smallint not null
  column holder text not null
  column epoch bigint not null
  column expires_at timestamp with time zone not null
  constraint shard_leases_pkey PRIMARY KEY (source, shard)
  grant DELETE, INSERT, SELECT, UPDATE to holdfast_relay
