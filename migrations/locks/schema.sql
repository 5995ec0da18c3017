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
  column turn bigint not null default 0
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
  column whose text collate "C" generated as ((((tenant_id || ' '::text) || actor_id) || ' '::text) || owner)
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
  CREATE INDEX lock_leases_by_instance ON locks.lock_leases USING btree (instance_id) WHERE (instance_id IS NOT NULL)
  CREATE INDEX lock_leases_by_owner ON locks.lock_leases USING btree (whose)
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

routine locks.board_look(scope text, name_tenants text[], name_projects text[], name_classes text[], name_keys text[], named_leases uuid[], named_tenants text[], owner_tenants text[], owner_actors text[], owner_labels text[], key_tenants text[], key_actors text[], asked_keys text[], judges boolean) owner holdfast_locks_owner
  grant EXECUTE to holdfast_locks_app
  CREATE OR REPLACE FUNCTION locks.board_look(scope text, name_tenants text[], name_projects text[], name_classes text[], name_keys text[], named_leases uuid[], named_tenants text[], owner_tenants text[], owner_actors text[], owner_labels text[], key_tenants text[], key_actors text[], asked_keys text[], judges boolean)
   RETURNS TABLE(now timestamp with time zone, is_head boolean, tenant_id text, project_id text, class text, resource_key text, turn bigint, fence bigint, version bigint, places bigint, is_waited_for boolean, rejected_at timestamp with time zone, lease_id uuid, actor_id text, owner text, idempotency_key text, request_hash bytea, project_ids text[], classes text[], resource_keys text[], fences bigint[], ttl_ms integer, stale_after_ms integer, renewals integer, renewals_max integer, asked_at timestamp with time zone, call_id uuid, granted_at timestamp with time zone, expires_at timestamp with time zone, stale_at timestamp with time zone, instance_id uuid, standing smallint, place bigint, is_live boolean, request_id text, traceparent text)
   LANGUAGE plpgsql
   ROWS 100
  AS $function$
  #variable_conflict use_column
  BEGIN
      IF pg_is_in_recovery() THEN
          -- A look takes no lock, by which a primary that has been demoted would be found out.
          RAISE EXCEPTION 'a standby does not decide' USING ERRCODE = 'read_only_sql_transaction';
      END IF;
      PERFORM set_config('holdfast.tenants', scope, true);
      RETURN QUERY
      WITH moment AS MATERIALIZED (
          SELECT clock_timestamp() AS now
      ), named AS MATERIALIZED (
          SELECT lease.lease_id, lease.tenant_id, lease.project_ids, lease.classes, lease.resource_keys
          FROM unnest(named_leases, named_tenants) AS item (lease_id, tenant_id)
          CROSS JOIN LATERAL (
              SELECT * FROM locks.lock_leases
              WHERE lock_leases.lease_id = item.lease_id AND lock_leases.tenant_id = item.tenant_id
              LIMIT 1
          ) AS lease
      ), heads AS MATERIALIZED (
          SELECT head.*
          FROM (
              SELECT tenant_id, project_id, class, resource_key
              FROM unnest(name_tenants, name_projects, name_classes, name_keys) AS name (tenant_id, project_id, class, resource_key)
              UNION
              SELECT named.tenant_id, part.project_id, part.class, part.resource_key
              FROM named
              CROSS JOIN LATERAL unnest(named.project_ids, named.classes, named.resource_keys) AS part (project_id, class, resource_key)
          ) AS name
          CROSS JOIN LATERAL (
              SELECT
                  lock_heads.*,
                  EXISTS (
                      SELECT FROM locks.lock_leases AS waiting
                      WHERE waiting.state = 'waiting' AND waiting.tenant_id = name.tenant_id AND waiting.at_project_id = name.project_id
                          AND waiting.at_class = name.class AND waiting.at_resource_key = name.resource_key
                  ) AS is_waited_for
              FROM locks.lock_heads
              WHERE lock_heads.tenant_id = name.tenant_id AND lock_heads.project_id = name.project_id AND lock_heads.class = name.class
                  AND lock_heads.resource_key = name.resource_key
              LIMIT 1
          ) AS head
      ), found AS MATERIALIZED (
          SELECT named.lease_id, named.tenant_id FROM named
          UNION
          SELECT heads.lease_id, heads.tenant_id FROM heads WHERE heads.lease_id IS NOT NULL
          UNION
          SELECT own.lease_id, asking.tenant_id
          FROM unnest(owner_tenants, owner_actors, owner_labels) AS asking (tenant_id, actor_id, owner)
          CROSS JOIN LATERAL (
              SELECT lease.lease_id FROM locks.lock_leases AS lease
              WHERE lease.whose = asking.tenant_id || ' ' || asking.actor_id || ' ' || asking.owner
              OFFSET 0
          ) AS own
          UNION
          SELECT same.lease_id, asked.tenant_id
          FROM unnest(key_tenants, key_actors, asked_keys) AS asked (tenant_id, actor_id, idempotency_key)
          CROSS JOIN LATERAL (
              SELECT lease.lease_id FROM locks.lock_leases AS lease
              WHERE lease.tenant_id = asked.tenant_id AND lease.actor_id = asked.actor_id AND lease.idempotency_key = asked.idempotency_key
              LIMIT 1
          ) AS same
          UNION
          SELECT first.lease_id, heads.tenant_id
          FROM heads
          CROSS JOIN moment
          CROSS JOIN LATERAL (
              SELECT waiting.lease_id FROM locks.lock_leases AS waiting
              WHERE waiting.state = 'waiting' AND waiting.tenant_id = heads.tenant_id AND waiting.at_project_id = heads.project_id
                  AND waiting.at_class = heads.class AND waiting.at_resource_key = heads.resource_key
                  AND (
                      NOT judges OR EXISTS (
                          SELECT FROM locks.lock_instances AS instance
                          WHERE instance.instance_id = waiting.instance_id AND instance.expires_at > moment.now
                      )
                  )
              ORDER BY waiting.place
              LIMIT 1
          ) AS first
      )
      SELECT
          moment.now, true, heads.tenant_id, heads.project_id, heads.class, heads.resource_key, heads.turn, heads.fence, heads.version,
          heads.places, heads.is_waited_for, heads.rejected_at, heads.lease_id, NULL::text, NULL::text, NULL::text, NULL::bytea, NULL::text[], NULL::text[], NULL::text[],
          NULL::bigint[], NULL::integer, NULL::integer, NULL::integer, NULL::integer, NULL::timestamptz, NULL::uuid, NULL::timestamptz,
          NULL::timestamptz, NULL::timestamptz, NULL::uuid, NULL::smallint, NULL::bigint, NULL::boolean, NULL::text, NULL::text
      FROM moment LEFT JOIN heads ON true
      UNION ALL
      SELECT
          moment.now, false, lease.tenant_id, NULL, NULL, NULL, NULL, NULL, NULL,
          NULL, NULL, NULL, lease.lease_id, lease.actor_id, lease.owner, lease.idempotency_key, lease.request_hash, lease.project_ids, lease.classes,
          lease.resource_keys, lease.fences, lease.ttl_ms, lease.stale_after_ms, lease.renewals, lease.renewals_max, lease.asked_at, lease.call_id,
          lease.granted_at, lease.expires_at, lease.stale_at, lease.instance_id, lease.standing, lease.place,
          NOT judges OR EXISTS (
              SELECT FROM locks.lock_instances AS instance WHERE instance.instance_id = lease.instance_id AND instance.expires_at > moment.now
          ),
          lease.request_id, lease.traceparent
      FROM found
      CROSS JOIN moment
      CROSS JOIN LATERAL (
          SELECT * FROM locks.lock_leases WHERE lock_leases.lease_id = found.lease_id AND lock_leases.tenant_id = found.tenant_id LIMIT 1
      ) AS lease;
  END $function$

routine locks.board_write(scope text, decided_at timestamp with time zone, lock_within_ms integer, guards bigint[], owner_tenants text[], owner_actors text[], owner_labels text[], key_tenants text[], key_actors text[], asked_keys text[], known uuid[], head_tenants text[], head_projects text[], head_classes text[], head_keys text[], head_turns bigint[], head_next_turns bigint[], head_fences bigint[], head_versions bigint[], head_places bigint[], head_leases uuid[], head_rejected_at timestamp with time zone[], removed_leases uuid[], removed_tenants text[], told_leases uuid[], told_tenants text[], told_calls uuid[], put_leases uuid[], put_tenants text[], put_actors text[], put_owners text[], put_keys text[], put_hashes bytea[], put_projects text[], put_classes text[], put_resource_keys text[], put_fences text[], put_ttls integer[], put_stale_afters integer[], put_renewals_max integer[], put_asked_at timestamp with time zone[], put_calls uuid[], put_granted_at timestamp with time zone[], put_expires_at timestamp with time zone[], put_stale_at timestamp with time zone[], put_instances uuid[], put_standing smallint[], put_places bigint[], put_requests text[], put_traces text[], entry_leases uuid[], entry_ordinals smallint[], entry_kinds smallint[], entry_whats text[], entry_tenants text[], entry_projects text[], entry_classes text[], entry_keys text[], entry_fences bigint[], entry_versions bigint[], entry_holders text[], entry_owners text[], entry_actors text[], entry_details text[], entry_events uuid[], entry_at timestamp with time zone[], entry_requests text[], entry_traces text[], entry_shards smallint[], entry_ordering_keys text[], entry_payloads bytea[]) owner holdfast_locks_owner
  grant EXECUTE to holdfast_locks_app
  CREATE OR REPLACE FUNCTION locks.board_write(scope text, decided_at timestamp with time zone, lock_within_ms integer, guards bigint[], owner_tenants text[], owner_actors text[], owner_labels text[], key_tenants text[], key_actors text[], asked_keys text[], known uuid[], head_tenants text[], head_projects text[], head_classes text[], head_keys text[], head_turns bigint[], head_next_turns bigint[], head_fences bigint[], head_versions bigint[], head_places bigint[], head_leases uuid[], head_rejected_at timestamp with time zone[], removed_leases uuid[], removed_tenants text[], told_leases uuid[], told_tenants text[], told_calls uuid[], put_leases uuid[], put_tenants text[], put_actors text[], put_owners text[], put_keys text[], put_hashes bytea[], put_projects text[], put_classes text[], put_resource_keys text[], put_fences text[], put_ttls integer[], put_stale_afters integer[], put_renewals_max integer[], put_asked_at timestamp with time zone[], put_calls uuid[], put_granted_at timestamp with time zone[], put_expires_at timestamp with time zone[], put_stale_at timestamp with time zone[], put_instances uuid[], put_standing smallint[], put_places bigint[], put_requests text[], put_traces text[], entry_leases uuid[], entry_ordinals smallint[], entry_kinds smallint[], entry_whats text[], entry_tenants text[], entry_projects text[], entry_classes text[], entry_keys text[], entry_fences bigint[], entry_versions bigint[], entry_holders text[], entry_owners text[], entry_actors text[], entry_details text[], entry_events uuid[], entry_at timestamp with time zone[], entry_requests text[], entry_traces text[], entry_shards smallint[], entry_ordering_keys text[], entry_payloads bytea[])
   RETURNS timestamp with time zone
   LANGUAGE plpgsql
  AS $function$
  #variable_conflict use_column
  BEGIN
      PERFORM set_config('holdfast.tenants', scope, true), set_config('lock_timeout', lock_within_ms::text, true);
      IF 0 = ANY (head_turns) THEN
          -- Before anything is locked, and in key order: whoever waits here holds nothing that others wait for but what it has made itself.
          INSERT INTO locks.lock_heads (tenant_id, project_id, class, resource_key)
          SELECT tenant_id, project_id, class, resource_key
          FROM unnest(head_tenants, head_projects, head_classes, head_keys, head_turns) AS name (tenant_id, project_id, class, resource_key, turn)
          WHERE turn = 0
          ORDER BY tenant_id, project_id, class, resource_key
          ON CONFLICT DO NOTHING;
      END IF;
      PERFORM pg_advisory_xact_lock(number)
          FROM (SELECT DISTINCT number FROM unnest(guards) AS asking (number) ORDER BY number) AS numbers;
      IF cardinality(head_turns) <> (
          SELECT count(*)
          FROM (
              SELECT * FROM unnest(head_tenants, head_projects, head_classes, head_keys, head_turns)
                  AS raw (tenant_id, project_id, class, resource_key, turn)
              ORDER BY raw.tenant_id COLLATE "C", raw.project_id COLLATE "C", raw.class COLLATE "C", raw.resource_key COLLATE "C"
          ) AS seen
          CROSS JOIN LATERAL (
              SELECT lock_heads.turn FROM locks.lock_heads
              WHERE lock_heads.tenant_id = seen.tenant_id AND lock_heads.project_id = seen.project_id AND lock_heads.class = seen.class
                  AND lock_heads.resource_key = seen.resource_key
              FOR UPDATE
          ) AS head
          WHERE head.turn = seen.turn
      ) THEN
          RETURN NULL;
      END IF;
      -- In statements of their own: they see what was committed while the locks above were waited for.
      IF clock_timestamp() NOT BETWEEN decided_at AND decided_at + interval '1 second' OR EXISTS (
          SELECT
          FROM unnest(owner_tenants, owner_actors, owner_labels) AS asking (tenant_id, actor_id, owner)
          CROSS JOIN LATERAL (
              SELECT lease.lease_id FROM locks.lock_leases AS lease
              WHERE lease.whose = asking.tenant_id || ' ' || asking.actor_id || ' ' || asking.owner
              OFFSET 0
          ) AS own
          WHERE own.lease_id <> ALL (known)
      ) OR EXISTS (
          SELECT
          FROM unnest(key_tenants, key_actors, asked_keys) AS asked (tenant_id, actor_id, idempotency_key)
          CROSS JOIN LATERAL (
              SELECT lease.lease_id FROM locks.lock_leases AS lease
              WHERE lease.tenant_id = asked.tenant_id AND lease.actor_id = asked.actor_id AND lease.idempotency_key = asked.idempotency_key
              LIMIT 1
          ) AS same
          WHERE same.lease_id <> ALL (known)
      ) THEN
          RETURN NULL;
      END IF;
      IF cardinality(told_leases) > 0 THEN
          -- Held: nothing of it but the call that was told of it, since heartbeats move the rest.
          UPDATE locks.lock_leases SET call_id = told_calls[array_position(told_leases, lease_id)]
          WHERE lease_id = ANY (told_leases) AND tenant_id = ANY (told_tenants);
      END IF;
      -- No joins: while a table is small a plan would read all of it for one, and keep to that when it has grown.
      WITH heads AS (
          INSERT INTO locks.lock_heads AS head (
              tenant_id, project_id, class, resource_key, turn, fence, version, places, lease_id, rejected_at
          )
          SELECT tenant_id, project_id, class, resource_key, next_turn, fence, version, places, lease_id, rejected_at
          FROM unnest(
              head_tenants, head_projects, head_classes, head_keys, head_turns, head_next_turns, head_fences, head_versions, head_places,
              head_leases, head_rejected_at
          ) AS item (tenant_id, project_id, class, resource_key, turn, next_turn, fence, version, places, lease_id, rejected_at)
          WHERE item.next_turn > item.turn
          ON CONFLICT (tenant_id, project_id, class, resource_key) DO UPDATE SET
              turn = excluded.turn, fence = excluded.fence, version = excluded.version, places = excluded.places, lease_id = excluded.lease_id,
              rejected_at = excluded.rejected_at
      ), removed AS (
          DELETE FROM locks.lock_leases WHERE lease_id = ANY (removed_leases) AND tenant_id = ANY (removed_tenants)
      ), put AS (
          INSERT INTO locks.lock_leases (
              lease_id, tenant_id, actor_id, owner, idempotency_key, request_hash, state, project_ids, classes, resource_keys, fences, ttl_ms,
              stale_after_ms, renewals, renewals_max, asked_at, call_id, granted_at, expires_at, stale_at, instance_id, standing, at_project_id,
              at_class, at_resource_key, place, request_id, traceparent
          )
          SELECT
              lease_id, tenant_id, actor_id, owner, idempotency_key, request_hash, CASE WHEN granted_at IS NULL THEN 'waiting' ELSE 'held' END,
              string_to_array(project_ids, ' '), string_to_array(classes, ' '), string_to_array(resource_keys, ' '),
              string_to_array(fences, ' ')::int8[], ttl_ms, stale_after_ms, 0, renewals_max, asked_at, call_id, granted_at, expires_at, stale_at,
              instance_id, standing, (string_to_array(project_ids, ' '))[standing], (string_to_array(classes, ' '))[standing],
              (string_to_array(resource_keys, ' '))[standing], place, request_id, traceparent
          FROM unnest(
              put_leases, put_tenants, put_actors, put_owners, put_keys, put_hashes, put_projects, put_classes, put_resource_keys, put_fences,
              put_ttls, put_stale_afters, put_renewals_max, put_asked_at, put_calls, put_granted_at, put_expires_at, put_stale_at,
              put_instances, put_standing, put_places, put_requests, put_traces
          ) AS item (
              lease_id, tenant_id, actor_id, owner, idempotency_key, request_hash, project_ids, classes, resource_keys, fences,
              ttl_ms, stale_after_ms, renewals_max, asked_at, call_id, granted_at, expires_at, stale_at,
              instance_id, standing, place, request_id, traceparent
          )
          ON CONFLICT (lease_id) DO UPDATE SET
              state = excluded.state, fences = excluded.fences, call_id = excluded.call_id, granted_at = excluded.granted_at,
              expires_at = excluded.expires_at, stale_at = excluded.stale_at, instance_id = excluded.instance_id, standing = excluded.standing,
              at_project_id = excluded.at_project_id, at_class = excluded.at_class, at_resource_key = excluded.at_resource_key,
              place = excluded.place
          WHERE lock_leases.tenant_id = excluded.tenant_id
      ), entry AS MATERIALIZED (
          SELECT * FROM unnest(
              entry_leases, entry_ordinals, entry_kinds, entry_whats, entry_tenants, entry_projects, entry_classes, entry_keys, entry_fences,
              entry_versions, entry_holders, entry_owners, entry_actors, entry_details, entry_events, entry_at, entry_requests, entry_traces,
              entry_shards, entry_ordering_keys, entry_payloads
          ) AS entry (
              lease_id, ordinal, entry, what, tenant_id, project_id, class, resource_key, fence, version,
              holder_actor_id, owner, actor_id, detail, event_id, occurred_at, request_id, traceparent, shard,
              ordering_key, event_payload
          )
      ), journal AS (
          INSERT INTO locks.locks (
              lease_id, ordinal, entry, what, tenant_id, project_id, class, resource_key, fence, version, holder_actor_id, owner, actor_id,
              detail, event_id, occurred_at, request_id, traceparent
          )
          SELECT
              lease_id, ordinal, entry, what, tenant_id, project_id, class, resource_key, fence, version, holder_actor_id, owner, actor_id,
              detail, event_id, occurred_at, request_id, traceparent
          FROM entry
      )
      INSERT INTO locks.outbox (
          slot, outbox_id, shard, tenant_id, project_id, ordering_key, key_seq, event_name, event_payload, traceparent, created_at
      )
      SELECT
          ring.slot, event_id, shard, tenant_id, project_id, ordering_key, version, 'lock.' || what, event_payload, traceparent, occurred_at
      FROM (SELECT slot FROM locks.outbox_ring WHERE is_current) AS ring, entry;
      RETURN clock_timestamp();
  END $function$

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
