-- Schema locks as its migrations leave it, read from the catalogue: a record to review, not a script to run.
-- Made by `HOLDFAST_SCHEMA_WRITE=1 cargo test -p holdfast-pg --test it snapshot`; the same test without the variable
-- compares. Weekly partitions and schema_migrations are left out.

schema locks owner holdfast_locks_owner
  grant CREATE, USAGE to holdfast_locks_owner
  grant USAGE to holdfast_locks_app
  grant USAGE to holdfast_locks_task
  grant USAGE to holdfast_relay

table locks.lock_class_changes owner holdfast_locks_owner
  column change_id bigint not null identity a
  column class text collate "C" not null
  column what text not null
  column rank_was smallint
  column rank smallint
  column changed_by text not null default SESSION_USER
  column changed_at timestamp with time zone not null default clock_timestamp()
  constraint class_change_is_known CHECK ((what = ANY (ARRAY['insert'::text, 'update'::text, 'delete'::text])))
  constraint lock_class_changes_pkey PRIMARY KEY (change_id)
  CREATE TRIGGER lock_class_changes_only_grow BEFORE DELETE OR UPDATE OR TRUNCATE ON locks.lock_class_changes FOR EACH STATEMENT EXECUTE FUNCTION locks.refuse_change()
  grant SELECT to holdfast_locks_task

sequence locks.lock_class_changes_change_id_seq owner holdfast_locks_owner
  bigint start 1 increment 1 min 1 max 9223372036854775807 cache 1

table locks.lock_classes owner holdfast_locks_owner
  column class text collate "C" not null
  column rank smallint not null
  column description text not null
  constraint class_is_a_name CHECK ((class ~ '^[a-z][a-z0-9_-]{0,63}$'::text))
  constraint class_rank_is_its_own UNIQUE (rank)
  constraint class_rank_is_positive CHECK ((rank > 0))
  constraint lock_classes_pkey PRIMARY KEY (class)
  CREATE TRIGGER lock_class_changes_are_recorded AFTER INSERT OR DELETE OR UPDATE ON locks.lock_classes FOR EACH ROW EXECUTE FUNCTION locks.record_class_change()
  CREATE TRIGGER lock_classes_are_not_truncated BEFORE TRUNCATE ON locks.lock_classes FOR EACH STATEMENT EXECUTE FUNCTION locks.refuse_change()
  grant SELECT to holdfast_locks_app
  grant SELECT to holdfast_locks_task

table locks.lock_heads owner holdfast_locks_owner row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.05, fillfactor=60)
  column tenant_id text collate "C" not null
  column project_id text collate "C" not null
  column class text collate "C" not null
  column resource_key text collate "C" not null
  column fence bigint not null default 0
  column version bigint not null default 0
  column places bigint not null default 0
  column lease_id uuid
  column rejected_at timestamp with time zone
  constraint head_counts_are_sane CHECK (((fence >= 0) AND (version >= 0) AND (places >= 0)))
  constraint lock_heads_pkey PRIMARY KEY (tenant_id, project_id, class, resource_key)
  policy background for all to holdfast_locks_task using true with check true
  policy tenant_scope for all to holdfast_locks_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  grant INSERT, SELECT, UPDATE to holdfast_locks_app
  grant SELECT, UPDATE to holdfast_locks_task

table locks.lock_instances owner holdfast_locks_owner
  column instance_id uuid not null
  column expires_at timestamp with time zone not null
  constraint lock_instances_pkey PRIMARY KEY (instance_id)
  grant DELETE, INSERT, SELECT, UPDATE to holdfast_locks_task
  grant SELECT to holdfast_locks_app

table locks.lock_leases owner holdfast_locks_owner row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=2000, fillfactor=60)
  column lease_id uuid not null
  column tenant_id text collate "C" not null
  column actor_id text collate "C" not null
  column owner text collate "C" not null
  column idempotency_key text collate "C"
  column request_hash bytea not null
  column state text collate "C" not null
  column project_ids text[] collate "C" not null
  column classes text[] collate "C" not null
  column resource_keys text[] collate "C" not null
  column fences bigint[] not null
  column ttl_ms integer not null
  column stale_after_ms integer not null
  column renewals integer not null
  column renewals_max integer not null
  column asked_at timestamp with time zone not null
  column granted_at timestamp with time zone
  column expires_at timestamp with time zone
  column stale_at timestamp with time zone
  column call_id uuid not null
  column instance_id uuid
  column standing smallint
  column at_project_id text collate "C"
  column at_class text collate "C"
  column at_resource_key text collate "C"
  column place bigint
  column request_id text not null
  column traceparent text not null
  constraint lease_ends_when_held CHECK ((((state = 'held'::text) = (granted_at IS NOT NULL)) AND ((granted_at IS NULL) = (expires_at IS NULL)) AND ((granted_at IS NULL) = (stale_at IS NULL)) AND (expires_at <= stale_at)))
  constraint lease_has_tokens_when_held CHECK ((cardinality(fences) =
CASE state
    WHEN 'held'::text THEN cardinality(resource_keys)
    ELSE 0
END))
  constraint lease_names_resources CHECK ((((cardinality(resource_keys) >= 1) AND (cardinality(resource_keys) <= 64)) AND (cardinality(project_ids) = cardinality(resource_keys)) AND (cardinality(classes) = cardinality(resource_keys))))
  constraint lease_stands_when_waiting CHECK ((((state = 'waiting'::text) = (place IS NOT NULL)) AND ((place IS NULL) = (instance_id IS NULL)) AND ((place IS NULL) = (standing IS NULL)) AND ((place IS NULL) = (at_project_id IS NULL)) AND ((place IS NULL) = (at_class IS NULL)) AND ((place IS NULL) = (at_resource_key IS NULL)) AND ((standing >= 1) AND (standing <= cardinality(resource_keys)))))
  constraint lease_state_is_known CHECK ((state = ANY (ARRAY['waiting'::text, 'held'::text])))
  constraint lease_terms_are_sane CHECK (((ttl_ms >= 1000) AND (stale_after_ms >= ttl_ms) AND (renewals >= 0) AND (renewals_max >= 0) AND (octet_length(request_hash) = 32)))
  constraint lock_leases_pkey PRIMARY KEY (lease_id)
  CREATE INDEX lock_leases_by_instance ON locks.lock_leases USING btree (instance_id) WHERE (state = 'waiting'::text)
  CREATE INDEX lock_leases_by_owner ON locks.lock_leases USING btree (tenant_id, actor_id, owner)
  CREATE UNIQUE INDEX lock_leases_by_key ON locks.lock_leases USING btree (tenant_id, actor_id, idempotency_key) WHERE (idempotency_key IS NOT NULL)
  CREATE UNIQUE INDEX lock_leases_by_place ON locks.lock_leases USING btree (tenant_id, at_project_id, at_class, at_resource_key, place) WHERE (state = 'waiting'::text)
  policy background for all to holdfast_locks_task using true with check true
  policy tenant_scope for all to holdfast_locks_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  grant DELETE, INSERT, SELECT, UPDATE to holdfast_locks_app
  grant DELETE, INSERT, SELECT, UPDATE to holdfast_locks_task

table locks.locks owner holdfast_locks_owner partitioned by RANGE (lease_id) row level security forced
  column lease_id uuid not null
  column ordinal smallint not null
  column entry smallint not null
  column what text collate "C" not null
  column tenant_id text collate "C" not null
  column project_id text collate "C" not null
  column class text collate "C" not null
  column resource_key text collate "C" not null
  column fence bigint not null
  column version bigint not null
  column holder_actor_id text not null
  column owner text not null
  column actor_id text not null
  column detail text not null
  column event_id uuid not null
  column occurred_at timestamp with time zone not null
  column request_id text not null
  column traceparent text not null
  constraint lock_entry_says_what CHECK ((((entry = 1) AND (what = 'granted'::text)) OR ((entry = 2) AND (what = ANY (ARRAY['released'::text, 'expired'::text, 'forced'::text]))) OR ((entry = 3) AND (what = 'fence_rejected'::text))))
  constraint locks_pkey PRIMARY KEY (lease_id, ordinal, entry)
  policy background for all to holdfast_locks_task using true with check true
  policy tenant_scope for all to holdfast_locks_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  CREATE TRIGGER locks_only_grow BEFORE DELETE OR UPDATE OR TRUNCATE ON locks.locks FOR EACH STATEMENT EXECUTE FUNCTION locks.refuse_change()
  grant INSERT, SELECT to holdfast_locks_app
  grant INSERT, SELECT to holdfast_locks_task

table locks.outbox owner holdfast_locks_owner partitioned by LIST (slot) row level security forced
  column slot smallint not null
  column outbox_id uuid not null
  column position bigint not null default nextval('locks.outbox_position'::regclass)
  column shard smallint not null
  column tenant_id text collate "C" not null
  column project_id text collate "C" not null
  column ordering_key text collate "C" not null
  column key_seq bigint not null
  column event_name text not null
  column event_payload bytea not null
  column traceparent text not null
  column created_at timestamp with time zone not null
  column published_at timestamp with time zone
  column retry_count smallint not null default 0
  column stream_ms bigint
  column stream_seq bigint
  constraint outbox_pkey PRIMARY KEY (outbox_id, slot)
  constraint outbox_published_names_its_entry CHECK ((((published_at IS NULL) = (stream_ms IS NULL)) AND ((stream_ms IS NULL) = (stream_seq IS NULL))))
  CREATE INDEX outbox_unpublished ON ONLY locks.outbox USING btree (shard, "position") WHERE (published_at IS NULL)
  policy background for all to holdfast_locks_task using true with check true
  policy relay for all to holdfast_relay using true with check true
  policy ring_sees_unpublished for select to holdfast_locks_owner using true
  policy tenant_scope for all to holdfast_locks_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  grant INSERT, SELECT to holdfast_locks_app
  grant INSERT, SELECT to holdfast_locks_task
  grant SELECT to holdfast_relay
  grant UPDATE (published_at, retry_count, stream_ms, stream_seq) to holdfast_relay

sequence locks.outbox_position owner holdfast_locks_owner
  bigint start 1 increment 1 min 1 max 9223372036854775807 cache 1
  grant USAGE to holdfast_locks_app
  grant USAGE to holdfast_locks_task

table locks.outbox_ring owner holdfast_locks_owner
  column slot smallint not null
  column is_current boolean not null
  column opened_at timestamp with time zone
  column closed_at timestamp with time zone
  column emptied_at timestamp with time zone
  column unpublished_at timestamp with time zone
  constraint outbox_ring_pkey PRIMARY KEY (slot)
  CREATE UNIQUE INDEX outbox_ring_has_one_current ON locks.outbox_ring USING btree (is_current) WHERE is_current
  grant SELECT to holdfast_locks_app
  grant SELECT to holdfast_locks_task
  grant SELECT to holdfast_relay

table locks.outbox_s00 owner holdfast_locks_owner partition of locks.outbox FOR VALUES IN ('0') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s00_shard_position_idx ON locks.outbox_s00 USING btree (shard, "position") WHERE (published_at IS NULL)

table locks.outbox_s01 owner holdfast_locks_owner partition of locks.outbox FOR VALUES IN ('1') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s01_shard_position_idx ON locks.outbox_s01 USING btree (shard, "position") WHERE (published_at IS NULL)

table locks.outbox_s02 owner holdfast_locks_owner partition of locks.outbox FOR VALUES IN ('2') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s02_shard_position_idx ON locks.outbox_s02 USING btree (shard, "position") WHERE (published_at IS NULL)

table locks.outbox_s03 owner holdfast_locks_owner partition of locks.outbox FOR VALUES IN ('3') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s03_shard_position_idx ON locks.outbox_s03 USING btree (shard, "position") WHERE (published_at IS NULL)

table locks.outbox_s04 owner holdfast_locks_owner partition of locks.outbox FOR VALUES IN ('4') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s04_shard_position_idx ON locks.outbox_s04 USING btree (shard, "position") WHERE (published_at IS NULL)

table locks.outbox_s05 owner holdfast_locks_owner partition of locks.outbox FOR VALUES IN ('5') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s05_shard_position_idx ON locks.outbox_s05 USING btree (shard, "position") WHERE (published_at IS NULL)

table locks.outbox_s06 owner holdfast_locks_owner partition of locks.outbox FOR VALUES IN ('6') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s06_shard_position_idx ON locks.outbox_s06 USING btree (shard, "position") WHERE (published_at IS NULL)

table locks.outbox_s07 owner holdfast_locks_owner partition of locks.outbox FOR VALUES IN ('7') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s07_shard_position_idx ON locks.outbox_s07 USING btree (shard, "position") WHERE (published_at IS NULL)

table locks.outbox_s08 owner holdfast_locks_owner partition of locks.outbox FOR VALUES IN ('8') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s08_shard_position_idx ON locks.outbox_s08 USING btree (shard, "position") WHERE (published_at IS NULL)

table locks.outbox_s09 owner holdfast_locks_owner partition of locks.outbox FOR VALUES IN ('9') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s09_shard_position_idx ON locks.outbox_s09 USING btree (shard, "position") WHERE (published_at IS NULL)

table locks.outbox_s10 owner holdfast_locks_owner partition of locks.outbox FOR VALUES IN ('10') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s10_shard_position_idx ON locks.outbox_s10 USING btree (shard, "position") WHERE (published_at IS NULL)

table locks.outbox_s11 owner holdfast_locks_owner partition of locks.outbox FOR VALUES IN ('11') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s11_shard_position_idx ON locks.outbox_s11 USING btree (shard, "position") WHERE (published_at IS NULL)

table locks.outbox_s12 owner holdfast_locks_owner partition of locks.outbox FOR VALUES IN ('12') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s12_shard_position_idx ON locks.outbox_s12 USING btree (shard, "position") WHERE (published_at IS NULL)

table locks.outbox_s13 owner holdfast_locks_owner partition of locks.outbox FOR VALUES IN ('13') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s13_shard_position_idx ON locks.outbox_s13 USING btree (shard, "position") WHERE (published_at IS NULL)

table locks.outbox_s14 owner holdfast_locks_owner partition of locks.outbox FOR VALUES IN ('14') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s14_shard_position_idx ON locks.outbox_s14 USING btree (shard, "position") WHERE (published_at IS NULL)

table locks.outbox_s15 owner holdfast_locks_owner partition of locks.outbox FOR VALUES IN ('15') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s15_shard_position_idx ON locks.outbox_s15 USING btree (shard, "position") WHERE (published_at IS NULL)

table locks.outbox_shards owner holdfast_locks_owner
  column shard smallint not null
  column epoch bigint not null
  column incarnation uuid
  column stream_ms bigint not null
  column stream_seq bigint not null
  constraint outbox_shards_pkey PRIMARY KEY (shard)
  grant SELECT, UPDATE to holdfast_relay

table locks.task_leases owner holdfast_locks_owner
  column task text collate "C" not null
  column holder text not null
  column epoch bigint not null
  column expires_at timestamp with time zone not null
  constraint task_leases_pkey PRIMARY KEY (task)
  grant INSERT, SELECT, UPDATE to holdfast_locks_task

routine locks.ensure_partitions(weeks_ahead integer) owner holdfast_locks_owner
  grant EXECUTE to holdfast_locks_task
  CREATE OR REPLACE FUNCTION locks.ensure_partitions(weeks_ahead integer)
   RETURNS integer
   LANGUAGE plpgsql
   SECURITY DEFINER
   SET search_path TO 'pg_catalog'
   SET lock_timeout TO '1s'
  AS $function$
  DECLARE
      this_week timestamptz := date_trunc('week', clock_timestamp() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
      starts    timestamptz;
      leaf      text;
      made      integer := 0;
  BEGIN
      IF weeks_ahead NOT BETWEEN 1 AND 53 THEN
          RAISE EXCEPTION 'weeks_ahead must be 1 to 53' USING ERRCODE = 'invalid_parameter_value';
      END IF;
      FOR week IN -1 .. weeks_ahead LOOP
          starts := this_week + make_interval(days => week * 7);
          leaf := format('locks_p%s', to_char(starts AT TIME ZONE 'UTC', 'YYYYMMDD'));
          CONTINUE WHEN to_regclass(format('locks.%I', leaf)) IS NOT NULL;
          EXECUTE format('CREATE TABLE locks.%I PARTITION OF locks.locks FOR VALUES FROM (%L) TO (%L)',
              leaf, locks.uuid7_floor(starts), locks.uuid7_floor(starts + interval '7 days'));
          EXECUTE format('ALTER TABLE locks.%I ENABLE ROW LEVEL SECURITY', leaf);
          EXECUTE format('ALTER TABLE locks.%I FORCE ROW LEVEL SECURITY', leaf);
          EXECUTE format('CREATE TRIGGER locks_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON locks.%I '
              'FOR EACH STATEMENT EXECUTE FUNCTION locks.refuse_change()', leaf);
          made := made + 1;
      END LOOP;
      RETURN made;
  END $function$

routine locks.outbox_ring_advance(slot_age interval, keep interval) owner holdfast_locks_owner
  grant EXECUTE to holdfast_locks_task
  CREATE OR REPLACE FUNCTION locks.outbox_ring_advance(slot_age interval, keep interval)
   RETURNS smallint
   LANGUAGE plpgsql
   SECURITY DEFINER
   SET search_path TO 'pg_catalog'
  AS $function$
  DECLARE
      current_slot smallint;
      opened       timestamptz;
      candidate    record;
      leaf         text;
  BEGIN
      SELECT slot, opened_at INTO STRICT current_slot, opened FROM locks.outbox_ring WHERE is_current FOR UPDATE;
      UPDATE locks.outbox_ring AS ring SET unpublished_at = clock_timestamp()
          WHERE NOT ring.is_current AND EXISTS (SELECT FROM locks.outbox WHERE slot = ring.slot AND published_at IS NULL);
      IF clock_timestamp() < opened + slot_age THEN
          RETURN current_slot;
      END IF;
      FOR candidate IN
          SELECT slot FROM locks.outbox_ring
          WHERE NOT is_current AND (closed_at IS NULL OR closed_at < clock_timestamp() - keep)
              AND (unpublished_at IS NULL OR unpublished_at < clock_timestamp() - keep)
          ORDER BY (slot - current_slot + 16) % 16
      LOOP
          leaf := format('locks.outbox_s%s', lpad(candidate.slot::text, 2, '0'));
          -- Locked before it is looked at: a slow transaction may hold rows for this slot that nobody sees yet. Where it
          -- does, or a reader is in the way, the slot is passed over this time.
          BEGIN
              EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE NOWAIT', leaf);
          EXCEPTION WHEN lock_not_available THEN
              CONTINUE;
          END;
          -- Through the parent: its policy shows the rows, the leaf's own shows none.
          CONTINUE WHEN EXISTS (SELECT FROM locks.outbox WHERE slot = candidate.slot AND published_at IS NULL);
          EXECUTE format('TRUNCATE TABLE %s', leaf);
          UPDATE locks.outbox_ring SET is_current = false, closed_at = clock_timestamp() WHERE slot = current_slot;
          UPDATE locks.outbox_ring
              SET is_current = true, opened_at = clock_timestamp(), closed_at = NULL, emptied_at = clock_timestamp(), unpublished_at = NULL
              WHERE slot = candidate.slot;
          RETURN candidate.slot;
      END LOOP;
      RETURN NULL;
  END $function$

routine locks.record_class_change() owner holdfast_locks_owner
  grant EXECUTE to PUBLIC
  CREATE OR REPLACE FUNCTION locks.record_class_change()
   RETURNS trigger
   LANGUAGE plpgsql
  AS $function$
  BEGIN
      INSERT INTO locks.lock_class_changes (class, what, rank_was, rank)
      VALUES (coalesce(NEW.class, OLD.class), lower(TG_OP), OLD.rank, NEW.rank);
      RETURN NULL;
  END $function$

routine locks.refuse_change() owner holdfast_locks_owner
  grant EXECUTE to PUBLIC
  CREATE OR REPLACE FUNCTION locks.refuse_change()
   RETURNS trigger
   LANGUAGE plpgsql
  AS $function$
  BEGIN
      RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
  END $function$

routine locks.uuid7_floor(at timestamp with time zone) owner holdfast_locks_owner
  grant EXECUTE to PUBLIC
  CREATE OR REPLACE FUNCTION locks.uuid7_floor(at timestamp with time zone)
   RETURNS uuid
   LANGUAGE sql
   IMMUTABLE PARALLEL SAFE STRICT
  RETURN ((lpad(to_hex((floor((EXTRACT(epoch FROM at) * (1000)::numeric)))::bigint), 12, '0'::text) || repeat('0'::text, 20)))::uuid
