-- Schema jobs as its migrations leave it, read from the catalogue: a record to review, not a script to run.
-- Made by `HOLDFAST_SCHEMA_WRITE=1 cargo test -p holdfast-pg --test it snapshot`; the same test without the variable
-- compares. Weekly partitions and schema_migrations are left out.

schema jobs owner holdfast_jobs_owner
  grant CREATE, USAGE to holdfast_jobs_owner
  grant USAGE to holdfast_jobs_app
  grant USAGE to holdfast_jobs_task
  grant USAGE to holdfast_relay

table jobs.approvals owner holdfast_jobs_owner partitioned by RANGE (job_id) row level security forced
  column job_id uuid not null
  column number integer not null
  column approval_id uuid not null
  column tenant_id text collate "C" not null
  column project_id text collate "C" not null
  column decision text collate "C" not null
  column reason text not null
  column actor_id text collate "C" not null
  column role text collate "C" not null
  column corrects uuid
  column command_key text collate "C" not null
  column command_hash bytea not null
  column decided_at timestamp with time zone not null
  column request_id text not null
  column traceparent text not null
  constraint approval_decision_is_known CHECK ((decision = ANY (ARRAY['approve'::text, 'reject'::text, 'request_changes'::text, 'defer'::text])))
  constraint approval_hash_is_blake3 CHECK ((octet_length(command_hash) = 32))
  constraint approval_numbers_begin_at_one CHECK (((number >= 1) AND ((number > 1) OR (corrects IS NULL))))
  constraint approvals_pkey PRIMARY KEY (job_id, number)
  policy tenant_scope for all to holdfast_jobs_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  CREATE TRIGGER approvals_only_grow BEFORE DELETE OR UPDATE OR TRUNCATE ON jobs.approvals FOR EACH STATEMENT EXECUTE FUNCTION jobs.refuse_change()
  grant INSERT, SELECT to holdfast_jobs_app

table jobs.archive_queue owner holdfast_jobs_owner
  column partition_name text collate "C" not null
  column table_name text collate "C" not null
  column covers_from timestamp with time zone not null
  column covers_to timestamp with time zone not null
  column rows bigint not null
  column state text collate "C" not null
  column marked_at timestamp with time zone not null
  constraint archive_covers_a_time CHECK ((covers_from < covers_to))
  constraint archive_queue_pkey PRIMARY KEY (partition_name)
  constraint archive_state_is_known CHECK ((state = 'ready'::text))
  grant INSERT, SELECT to holdfast_jobs_task

table jobs.budget_usage owner holdfast_jobs_owner row level security forced with (fillfactor=50)
  column tenant_id text collate "C" not null
  column scope text collate "C" not null
  column scope_id text collate "C" not null
  column period_start timestamp with time zone not null
  column period_end timestamp with time zone not null
  column tokens bigint not null
  column cost_micro_usd bigint not null
  column entries bigint not null
  column breached_at timestamp with time zone
  column sweep_at timestamp with time zone
  constraint budget_period_ends CHECK ((period_end > period_start))
  constraint budget_scope_is_known CHECK ((scope = ANY (ARRAY['user'::text, 'project'::text, 'tenant'::text])))
  constraint budget_usage_is_not_negative CHECK (((tokens >= 0) AND (cost_micro_usd >= 0) AND (entries >= 0)))
  constraint budget_usage_pkey PRIMARY KEY (tenant_id, scope, scope_id, period_start)
  CREATE INDEX budget_usage_breached_by_key ON jobs.budget_usage USING btree (period_end, tenant_id, scope, scope_id) WHERE (breached_at IS NOT NULL)
  CREATE INDEX budget_usage_by_end ON jobs.budget_usage USING btree (period_end, tenant_id, scope, scope_id)
  CREATE INDEX budget_usage_to_sweep ON jobs.budget_usage USING btree (sweep_at) WHERE (sweep_at IS NOT NULL)
  policy background for all to holdfast_jobs_task using true with check true
  policy tenant_scope for all to holdfast_jobs_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  grant DELETE, SELECT, UPDATE to holdfast_jobs_task
  grant INSERT, SELECT, UPDATE to holdfast_jobs_app

table jobs.idempotency_heads owner holdfast_jobs_owner row level security forced with (fillfactor=90)
  column tenant_id text collate "C" not null
  column project_id text collate "C" not null
  column intent text collate "C" not null
  column actor_id text collate "C" not null
  column idempotency_key text collate "C" not null
  column generation bigint not null
  column ledger_id uuid not null
  column payload_hash bytea not null
  column window_end timestamp with time zone not null
  column job_id uuid
  column token bigint not null
  column lease_expires_at timestamp with time zone
  column completed_at timestamp with time zone
  constraint head_counts_are_sane CHECK (((generation >= 1) AND (token >= 0)))
  constraint head_is_a_job_or_a_reservation CHECK (((job_id IS NULL) OR (lease_expires_at IS NULL)))
  constraint idempotency_heads_pkey PRIMARY KEY (tenant_id, project_id, intent, actor_id, idempotency_key)
  policy tenant_scope for all to holdfast_jobs_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  grant INSERT, SELECT, UPDATE to holdfast_jobs_app

table jobs.idempotency_ledger owner holdfast_jobs_owner partitioned by RANGE (ledger_id) row level security forced
  column ledger_id uuid not null
  column tenant_id text collate "C" not null
  column idempotency_key text collate "C" not null
  column project_id text collate "C" not null
  column intent text collate "C" not null
  column actor_id text collate "C" not null
  column generation bigint not null
  column window_start timestamp with time zone not null
  column window_end timestamp with time zone not null
  column payload_hash bytea not null
  column job_id uuid
  column outcome bytea
  column outcome_content_type text
  column completed_at timestamp with time zone
  column first_seen_at timestamp with time zone not null
  column last_seen_at timestamp with time zone not null
  constraint idempotency_ledger_pkey PRIMARY KEY (ledger_id)
  constraint ledger_hash_is_blake3 CHECK ((octet_length(payload_hash) = 32))
  constraint ledger_outcome_is_complete CHECK ((((outcome IS NULL) = (outcome_content_type IS NULL)) AND ((outcome IS NULL) OR (completed_at IS NOT NULL))))
  constraint ledger_window_is_open_for_a_while CHECK ((window_end > window_start))
  policy tenant_scope for all to holdfast_jobs_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  grant INSERT, SELECT, UPDATE to holdfast_jobs_app

table jobs.job_delayed owner holdfast_jobs_owner row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=5000)
  column job_id uuid not null
  column due_at timestamp with time zone not null
  column tenant_id text collate "C" not null
  column project_id text collate "C" not null
  column queue text collate "C" not null
  column intent text collate "C" not null
  column rank smallint not null
  constraint job_delayed_pkey PRIMARY KEY (job_id)
  CREATE INDEX job_delayed_by_due ON jobs.job_delayed USING btree (due_at)
  policy background for all to holdfast_jobs_task using true with check true
  policy tenant_scope for all to holdfast_jobs_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  grant DELETE, INSERT, SELECT, UPDATE to holdfast_jobs_app
  grant DELETE, INSERT, SELECT, UPDATE to holdfast_jobs_task

table jobs.job_dependencies owner holdfast_jobs_owner row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=5000)
  column job_id uuid not null
  column depends_on uuid not null
  column tenant_id text collate "C" not null
  column on_failure text collate "C" not null
  constraint dependency_effect_is_known CHECK ((on_failure = ANY (ARRAY['block'::text, 'cancel'::text, 'run'::text])))
  constraint dependency_is_another_job CHECK ((job_id <> depends_on))
  constraint job_dependencies_pkey PRIMARY KEY (job_id, depends_on)
  CREATE INDEX job_dependencies_by_dependency ON jobs.job_dependencies USING btree (depends_on, job_id)
  policy background for all to holdfast_jobs_task using true with check true
  policy tenant_scope for all to holdfast_jobs_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  grant DELETE, INSERT, SELECT, UPDATE to holdfast_jobs_app
  grant DELETE, SELECT to holdfast_jobs_task

table jobs.job_events owner holdfast_jobs_owner partitioned by RANGE (job_id) row level security forced
  column job_id uuid not null
  column seq bigint not null
  column tenant_id text collate "C" not null
  column project_id text collate "C" not null
  column event_id uuid not null
  column from_state text
  column to_state text not null
  column attempt integer not null
  column fence bigint not null
  column actor_id text not null
  column worker_id text
  column command_key text
  column command_hash bytea
  column detail text not null
  column occurred_at timestamp with time zone not null
  column request_id text not null
  column traceparent text not null
  constraint job_event_begins_with_submission CHECK (((seq = 1) = (from_state IS NULL)))
  constraint job_events_pkey PRIMARY KEY (job_id, seq)
  policy background for all to holdfast_jobs_task using true with check true
  policy tenant_scope for all to holdfast_jobs_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  CREATE TRIGGER job_events_only_grow BEFORE DELETE OR UPDATE OR TRUNCATE ON jobs.job_events FOR EACH STATEMENT EXECUTE FUNCTION jobs.refuse_change()
  grant INSERT, SELECT to holdfast_jobs_app
  grant INSERT, SELECT to holdfast_jobs_task

table jobs.job_holds owner holdfast_jobs_owner row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=5000)
  column job_id uuid not null
  column tenant_id text collate "C" not null
  column held_by text collate "C" not null
  column of_tenant text collate "C" not null
  column was_queued boolean not null
  constraint hold_cause_is_known CHECK (((held_by = 'policy'::text) OR (held_by ^@ 'kill_switch:'::text)))
  constraint job_holds_pkey PRIMARY KEY (job_id, held_by, of_tenant)
  policy background for all to holdfast_jobs_task using true with check true
  policy tenant_scope for all to holdfast_jobs_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  grant DELETE, INSERT, SELECT to holdfast_jobs_app
  grant DELETE, INSERT, SELECT to holdfast_jobs_task

table jobs.job_leases owner holdfast_jobs_owner row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=5000, fillfactor=70)
  column job_id uuid not null
  column lease_id uuid not null
  column tenant_id text collate "C" not null
  column project_id text collate "C" not null
  column fence bigint not null
  column worker_id text not null
  column leased_at timestamp with time zone not null
  column expires_at timestamp with time zone not null
  column run_deadline timestamp with time zone not null
  column progress_percent smallint
  column progress_note text
  constraint job_leases_pkey PRIMARY KEY (job_id)
  constraint lease_ends_within_run_budget CHECK ((expires_at <= run_deadline))
  policy background for all to holdfast_jobs_task using true with check true
  policy tenant_scope for all to holdfast_jobs_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  grant DELETE, INSERT, SELECT, UPDATE to holdfast_jobs_app
  grant DELETE, INSERT, SELECT, UPDATE to holdfast_jobs_task

table jobs.job_queue owner holdfast_jobs_owner row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=5000)
  column tenant_id text collate "C" not null
  column project_id text collate "C" not null
  column queue text collate "C" not null
  column intent text collate "C" not null
  column rank smallint not null
  column ready_at timestamp with time zone not null
  column job_id uuid not null
  constraint job_queue_pkey PRIMARY KEY (tenant_id, project_id, rank, ready_at, job_id)
  policy background for all to holdfast_jobs_task using true with check true
  policy tenant_scope for all to holdfast_jobs_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  grant DELETE, INSERT, SELECT, UPDATE to holdfast_jobs_app
  grant DELETE, INSERT, SELECT, UPDATE to holdfast_jobs_task

table jobs.job_queue_clock owner holdfast_jobs_owner row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=5000, fillfactor=70)
  column job_id uuid not null
  column tenant_id text collate "C" not null
  column waited_ms bigint not null
  column seen_at timestamp with time zone not null
  column ready_at timestamp with time zone not null
  column told boolean not null
  constraint job_queue_clock_pkey PRIMARY KEY (job_id)
  constraint queue_clock_is_not_negative CHECK ((waited_ms >= 0))
  policy background for all to holdfast_jobs_task using true with check true
  policy tenant_scope for all to holdfast_jobs_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  grant DELETE, INSERT, SELECT, UPDATE to holdfast_jobs_task
  grant SELECT to holdfast_jobs_app

table jobs.job_settlements owner holdfast_jobs_owner row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=5000)
  column settlement_id uuid not null
  column job_id uuid not null
  column tenant_id text collate "C" not null
  column after_job_id uuid not null
  constraint job_settlements_pkey PRIMARY KEY (settlement_id)
  policy background for all to holdfast_jobs_task using true with check true
  policy tenant_scope for all to holdfast_jobs_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  grant DELETE, INSERT, SELECT, UPDATE to holdfast_jobs_task
  grant INSERT to holdfast_jobs_app

table jobs.job_usage owner holdfast_jobs_owner partitioned by RANGE (job_id) row level security forced
  column job_id uuid not null
  column tenant_id text collate "C" not null
  column project_id text collate "C" not null
  column tokens bigint not null
  column cost_micro_usd bigint not null
  column entries bigint not null
  constraint job_usage_is_not_negative CHECK (((tokens >= 0) AND (cost_micro_usd >= 0) AND (entries >= 0)))
  constraint job_usage_pkey PRIMARY KEY (job_id)
  policy background for select to holdfast_jobs_task using true
  policy tenant_scope for all to holdfast_jobs_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  grant INSERT, SELECT, UPDATE to holdfast_jobs_app
  grant SELECT to holdfast_jobs_task

table jobs.job_waits owner holdfast_jobs_owner row level security forced with (fillfactor=70)
  column job_id uuid not null
  column tenant_id text collate "C" not null
  column project_id text collate "C" not null
  column budget_ms bigint not null
  column spent_ms bigint not null
  column ends_at timestamp with time zone not null
  column since timestamp with time zone
  column due_at timestamp with time zone
  column reminds boolean not null
  column reminders integer not null
  column reminded_at timestamp with time zone
  constraint job_waits_pkey PRIMARY KEY (job_id)
  constraint wait_counts_are_sane CHECK (((budget_ms >= 1) AND (spent_ms >= 0) AND (reminders >= 0)))
  constraint wait_runs_out CHECK (((since IS NULL) OR (due_at IS NOT NULL)))
  CREATE INDEX job_waits_due ON jobs.job_waits USING btree (due_at)
  policy background for all to holdfast_jobs_task using true with check true
  policy tenant_scope for all to holdfast_jobs_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  grant DELETE, INSERT, SELECT, UPDATE to holdfast_jobs_app
  grant DELETE, INSERT, SELECT, UPDATE to holdfast_jobs_task

table jobs.jobs owner holdfast_jobs_owner partitioned by RANGE (job_id) row level security forced
  column job_id uuid not null
  column tenant_id text collate "C" not null
  column project_id text collate "C" not null
  column intent text collate "C" not null
  column queue text collate "C" not null
  column tier text collate "C" not null
  column priority smallint not null
  column state text collate "C" not null
  column seq bigint not null
  column actor_id text collate "C" not null
  column idempotency_key text collate "C" not null
  column idempotency_payload_hash bytea not null
  column payload bytea not null
  column payload_content_type text not null
  column result bytea
  column result_content_type text
  column max_attempts integer not null
  column run_budget_ms bigint not null
  column attempt integer not null
  column fence bigint not null
  column lease_id uuid
  column worker_id text
  column run_ms bigint not null
  column failure_code text
  column failure_message text
  column failed_at timestamp with time zone
  column retry_since timestamp with time zone
  column next_attempt_at timestamp with time zone
  column timed_out_clock text
  column run_after timestamp with time zone
  column created_at timestamp with time zone not null
  column started_at timestamp with time zone
  column finished_at timestamp with time zone
  column request_id text not null
  column traceparent text not null
  column resubmits uuid
  column parent_job_id uuid
  column depth smallint not null default 0
  column awaited boolean not null default false
  column depends_on uuid[]
  column on_dependency_failure text[]
  column classification text collate "C" not null default 'internal'::text
  column residency text collate "C" not null default 'global'::text
  column total_budget_ms bigint
  column backoff_ms bigint not null default 0
  column hash_key bytea
  constraint job_classification_is_known CHECK ((classification = ANY (ARRAY['public'::text, 'internal'::text, 'sensitive'::text])))
  constraint job_counts_are_sane CHECK (((seq >= 1) AND (attempt >= 0) AND (fence >= 0) AND (run_ms >= 0) AND (max_attempts >= 1) AND (run_budget_ms >= 1000)))
  constraint job_dependencies_are_pairs CHECK ((((depends_on IS NULL) AND (on_dependency_failure IS NULL)) OR (((cardinality(depends_on) >= 1) AND (cardinality(depends_on) <= 100)) AND (cardinality(on_dependency_failure) = cardinality(depends_on)))))
  constraint job_depth_is_bounded CHECK ((((depth >= 0) AND (depth <= 3)) AND ((depth > 0) = (parent_job_id IS NOT NULL))))
  constraint job_ended_when_final CHECK (((state = ANY (ARRAY['done'::text, 'failed'::text, 'timed_out'::text, 'cancelled'::text, 'rejected'::text, 'budget_exceeded'::text])) = (finished_at IS NOT NULL)))
  constraint job_has_failure_when_failed CHECK (((state <> ALL (ARRAY['failed'::text, 'retrying'::text])) OR (failure_code IS NOT NULL)))
  constraint job_has_lease_when_running CHECK (((state <> 'running'::text) OR ((lease_id IS NOT NULL) AND (worker_id IS NOT NULL) AND (started_at IS NOT NULL) AND (attempt >= 1))))
  constraint job_has_next_attempt_when_retrying CHECK (((state = 'retrying'::text) = (next_attempt_at IS NOT NULL)))
  constraint job_has_result_when_done CHECK ((((state = 'done'::text) = (result IS NOT NULL)) AND ((result IS NULL) = (result_content_type IS NULL))))
  constraint job_hash_is_blake3 CHECK ((octet_length(idempotency_payload_hash) = 32))
  constraint job_names_its_clock_when_timed_out CHECK (((state = 'timed_out'::text) = (timed_out_clock IS NOT NULL)))
  constraint job_payload_is_bounded CHECK (((octet_length(payload) <= 983040) AND (octet_length(result) <= 983040)))
  constraint job_priority_is_in_range CHECK (((priority >= 0) AND (priority <= 9)))
  constraint job_queue_is_known CHECK ((queue = ANY (ARRAY['project'::text, 'infra'::text])))
  constraint job_residency_is_known CHECK ((residency = ANY (ARRAY['US'::text, 'EU'::text, 'global'::text])))
  constraint job_state_is_known CHECK ((state = ANY (ARRAY['queued'::text, 'running'::text, 'retrying'::text, 'done'::text, 'failed'::text, 'timed_out'::text, 'cancelled'::text, 'waiting_human_decision'::text, 'changes_requested'::text, 'deferred'::text, 'rejected'::text, 'blocked'::text, 'budget_exceeded'::text])))
  constraint job_tier_is_known CHECK ((tier = ANY (ARRAY['A'::text, 'B'::text, 'C'::text])))
  constraint jobs_pkey PRIMARY KEY (job_id)
  CREATE INDEX jobs_by_project ON ONLY jobs.jobs USING btree (tenant_id, project_id, job_id DESC)
  policy background for all to holdfast_jobs_task using true with check true
  policy tenant_scope for all to holdfast_jobs_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  grant INSERT, SELECT, UPDATE to holdfast_jobs_app
  grant SELECT, UPDATE to holdfast_jobs_task

table jobs.model_usage owner holdfast_jobs_owner partitioned by RANGE (job_id) row level security forced
  column job_id uuid not null
  column idempotency_key text collate "C" not null
  column tenant_id text collate "C" not null
  column project_id text collate "C" not null
  column user_id text collate "C" not null
  column provider text collate "C" not null
  column model text collate "C" not null
  column input_tokens bigint not null
  column output_tokens bigint not null
  column cost_micro_usd bigint not null
  column lease_id uuid
  column actor_id text collate "C" not null
  column recorded_at timestamp with time zone not null
  column request_id text not null
  column traceparent text not null
  constraint model_usage_pkey PRIMARY KEY (job_id, idempotency_key)
  constraint usage_is_within_reason CHECK ((((input_tokens >= 0) AND (input_tokens <= 1000000000)) AND ((output_tokens >= 0) AND (output_tokens <= 1000000000)) AND ((cost_micro_usd >= 0) AND (cost_micro_usd <= '10000000000'::bigint))))
  policy tenant_scope for all to holdfast_jobs_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  CREATE TRIGGER model_usage_only_grow BEFORE DELETE OR UPDATE OR TRUNCATE ON jobs.model_usage FOR EACH STATEMENT EXECUTE FUNCTION jobs.refuse_change()
  grant INSERT, SELECT to holdfast_jobs_app

table jobs.outbox owner holdfast_jobs_owner partitioned by LIST (slot) row level security forced
  column slot smallint not null
  column outbox_id uuid not null
  column position bigint not null default nextval('jobs.outbox_position'::regclass)
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
  CREATE INDEX outbox_published_by_project ON ONLY jobs.outbox USING btree (tenant_id, project_id, shard, stream_ms, stream_seq) WHERE (stream_ms IS NOT NULL)
  CREATE INDEX outbox_unpublished ON ONLY jobs.outbox USING btree (shard, "position") WHERE (published_at IS NULL)
  policy background for all to holdfast_jobs_task using true with check true
  policy relay for all to holdfast_relay using true with check true
  policy ring_sees_unpublished for select to holdfast_jobs_owner using true
  policy tenant_scope for all to holdfast_jobs_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  grant INSERT, SELECT to holdfast_jobs_app
  grant INSERT, SELECT to holdfast_jobs_task
  grant SELECT to holdfast_relay
  grant UPDATE (published_at, retry_count, stream_ms, stream_seq) to holdfast_relay

sequence jobs.outbox_position owner holdfast_jobs_owner
  bigint start 1 increment 1 min 1 max 9223372036854775807 cache 1
  grant USAGE to holdfast_jobs_app
  grant USAGE to holdfast_jobs_task

table jobs.outbox_ring owner holdfast_jobs_owner
  column slot smallint not null
  column is_current boolean not null
  column opened_at timestamp with time zone
  column closed_at timestamp with time zone
  column emptied_at timestamp with time zone
  column unpublished_at timestamp with time zone
  constraint outbox_ring_pkey PRIMARY KEY (slot)
  CREATE UNIQUE INDEX outbox_ring_has_one_current ON jobs.outbox_ring USING btree (is_current) WHERE is_current
  grant SELECT to holdfast_jobs_app
  grant SELECT to holdfast_jobs_task
  grant SELECT to holdfast_relay

table jobs.outbox_s00 owner holdfast_jobs_owner partition of jobs.outbox FOR VALUES IN ('0') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s00_shard_position_idx ON jobs.outbox_s00 USING btree (shard, "position") WHERE (published_at IS NULL)
  CREATE INDEX outbox_s00_tenant_id_project_id_shard_stream_ms_stream_seq_idx ON jobs.outbox_s00 USING btree (tenant_id, project_id, shard, stream_ms, stream_seq) WHERE (stream_ms IS NOT NULL)

table jobs.outbox_s01 owner holdfast_jobs_owner partition of jobs.outbox FOR VALUES IN ('1') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s01_shard_position_idx ON jobs.outbox_s01 USING btree (shard, "position") WHERE (published_at IS NULL)
  CREATE INDEX outbox_s01_tenant_id_project_id_shard_stream_ms_stream_seq_idx ON jobs.outbox_s01 USING btree (tenant_id, project_id, shard, stream_ms, stream_seq) WHERE (stream_ms IS NOT NULL)

table jobs.outbox_s02 owner holdfast_jobs_owner partition of jobs.outbox FOR VALUES IN ('2') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s02_shard_position_idx ON jobs.outbox_s02 USING btree (shard, "position") WHERE (published_at IS NULL)
  CREATE INDEX outbox_s02_tenant_id_project_id_shard_stream_ms_stream_seq_idx ON jobs.outbox_s02 USING btree (tenant_id, project_id, shard, stream_ms, stream_seq) WHERE (stream_ms IS NOT NULL)

table jobs.outbox_s03 owner holdfast_jobs_owner partition of jobs.outbox FOR VALUES IN ('3') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s03_shard_position_idx ON jobs.outbox_s03 USING btree (shard, "position") WHERE (published_at IS NULL)
  CREATE INDEX outbox_s03_tenant_id_project_id_shard_stream_ms_stream_seq_idx ON jobs.outbox_s03 USING btree (tenant_id, project_id, shard, stream_ms, stream_seq) WHERE (stream_ms IS NOT NULL)

table jobs.outbox_s04 owner holdfast_jobs_owner partition of jobs.outbox FOR VALUES IN ('4') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s04_shard_position_idx ON jobs.outbox_s04 USING btree (shard, "position") WHERE (published_at IS NULL)
  CREATE INDEX outbox_s04_tenant_id_project_id_shard_stream_ms_stream_seq_idx ON jobs.outbox_s04 USING btree (tenant_id, project_id, shard, stream_ms, stream_seq) WHERE (stream_ms IS NOT NULL)

table jobs.outbox_s05 owner holdfast_jobs_owner partition of jobs.outbox FOR VALUES IN ('5') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s05_shard_position_idx ON jobs.outbox_s05 USING btree (shard, "position") WHERE (published_at IS NULL)
  CREATE INDEX outbox_s05_tenant_id_project_id_shard_stream_ms_stream_seq_idx ON jobs.outbox_s05 USING btree (tenant_id, project_id, shard, stream_ms, stream_seq) WHERE (stream_ms IS NOT NULL)

table jobs.outbox_s06 owner holdfast_jobs_owner partition of jobs.outbox FOR VALUES IN ('6') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s06_shard_position_idx ON jobs.outbox_s06 USING btree (shard, "position") WHERE (published_at IS NULL)
  CREATE INDEX outbox_s06_tenant_id_project_id_shard_stream_ms_stream_seq_idx ON jobs.outbox_s06 USING btree (tenant_id, project_id, shard, stream_ms, stream_seq) WHERE (stream_ms IS NOT NULL)

table jobs.outbox_s07 owner holdfast_jobs_owner partition of jobs.outbox FOR VALUES IN ('7') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s07_shard_position_idx ON jobs.outbox_s07 USING btree (shard, "position") WHERE (published_at IS NULL)
  CREATE INDEX outbox_s07_tenant_id_project_id_shard_stream_ms_stream_seq_idx ON jobs.outbox_s07 USING btree (tenant_id, project_id, shard, stream_ms, stream_seq) WHERE (stream_ms IS NOT NULL)

table jobs.outbox_s08 owner holdfast_jobs_owner partition of jobs.outbox FOR VALUES IN ('8') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s08_shard_position_idx ON jobs.outbox_s08 USING btree (shard, "position") WHERE (published_at IS NULL)
  CREATE INDEX outbox_s08_tenant_id_project_id_shard_stream_ms_stream_seq_idx ON jobs.outbox_s08 USING btree (tenant_id, project_id, shard, stream_ms, stream_seq) WHERE (stream_ms IS NOT NULL)

table jobs.outbox_s09 owner holdfast_jobs_owner partition of jobs.outbox FOR VALUES IN ('9') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s09_shard_position_idx ON jobs.outbox_s09 USING btree (shard, "position") WHERE (published_at IS NULL)
  CREATE INDEX outbox_s09_tenant_id_project_id_shard_stream_ms_stream_seq_idx ON jobs.outbox_s09 USING btree (tenant_id, project_id, shard, stream_ms, stream_seq) WHERE (stream_ms IS NOT NULL)

table jobs.outbox_s10 owner holdfast_jobs_owner partition of jobs.outbox FOR VALUES IN ('10') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s10_shard_position_idx ON jobs.outbox_s10 USING btree (shard, "position") WHERE (published_at IS NULL)
  CREATE INDEX outbox_s10_tenant_id_project_id_shard_stream_ms_stream_seq_idx ON jobs.outbox_s10 USING btree (tenant_id, project_id, shard, stream_ms, stream_seq) WHERE (stream_ms IS NOT NULL)

table jobs.outbox_s11 owner holdfast_jobs_owner partition of jobs.outbox FOR VALUES IN ('11') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s11_shard_position_idx ON jobs.outbox_s11 USING btree (shard, "position") WHERE (published_at IS NULL)
  CREATE INDEX outbox_s11_tenant_id_project_id_shard_stream_ms_stream_seq_idx ON jobs.outbox_s11 USING btree (tenant_id, project_id, shard, stream_ms, stream_seq) WHERE (stream_ms IS NOT NULL)

table jobs.outbox_s12 owner holdfast_jobs_owner partition of jobs.outbox FOR VALUES IN ('12') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s12_shard_position_idx ON jobs.outbox_s12 USING btree (shard, "position") WHERE (published_at IS NULL)
  CREATE INDEX outbox_s12_tenant_id_project_id_shard_stream_ms_stream_seq_idx ON jobs.outbox_s12 USING btree (tenant_id, project_id, shard, stream_ms, stream_seq) WHERE (stream_ms IS NOT NULL)

table jobs.outbox_s13 owner holdfast_jobs_owner partition of jobs.outbox FOR VALUES IN ('13') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s13_shard_position_idx ON jobs.outbox_s13 USING btree (shard, "position") WHERE (published_at IS NULL)
  CREATE INDEX outbox_s13_tenant_id_project_id_shard_stream_ms_stream_seq_idx ON jobs.outbox_s13 USING btree (tenant_id, project_id, shard, stream_ms, stream_seq) WHERE (stream_ms IS NOT NULL)

table jobs.outbox_s14 owner holdfast_jobs_owner partition of jobs.outbox FOR VALUES IN ('14') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s14_shard_position_idx ON jobs.outbox_s14 USING btree (shard, "position") WHERE (published_at IS NULL)
  CREATE INDEX outbox_s14_tenant_id_project_id_shard_stream_ms_stream_seq_idx ON jobs.outbox_s14 USING btree (tenant_id, project_id, shard, stream_ms, stream_seq) WHERE (stream_ms IS NOT NULL)

table jobs.outbox_s15 owner holdfast_jobs_owner partition of jobs.outbox FOR VALUES IN ('15') row level security forced with (autovacuum_vacuum_cost_delay=0, autovacuum_vacuum_scale_factor=0.2)
  CREATE INDEX outbox_s15_shard_position_idx ON jobs.outbox_s15 USING btree (shard, "position") WHERE (published_at IS NULL)
  CREATE INDEX outbox_s15_tenant_id_project_id_shard_stream_ms_stream_seq_idx ON jobs.outbox_s15 USING btree (tenant_id, project_id, shard, stream_ms, stream_seq) WHERE (stream_ms IS NOT NULL)

table jobs.outbox_shards owner holdfast_jobs_owner
  column shard smallint not null
  column epoch bigint not null
  column incarnation uuid
  column stream_ms bigint not null
  column stream_seq bigint not null
  constraint outbox_shards_pkey PRIMARY KEY (shard)
  grant SELECT, UPDATE to holdfast_relay

table jobs.project_changes owner holdfast_jobs_owner row level security forced
  column tenant_id text collate "C" not null
  column project_id text collate "C" not null
  column version bigint not null
  column settings jsonb not null
  column actor_id text collate "C" not null
  column role text collate "C" not null
  column changed_at timestamp with time zone not null
  column request_id text not null
  column traceparent text not null
  constraint project_change_has_a_version CHECK ((version >= 1))
  constraint project_changes_pkey PRIMARY KEY (tenant_id, project_id, version)
  policy tenant_scope for all to holdfast_jobs_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  CREATE TRIGGER project_changes_only_grow BEFORE DELETE OR UPDATE OR TRUNCATE ON jobs.project_changes FOR EACH STATEMENT EXECUTE FUNCTION jobs.refuse_change()
  grant INSERT, SELECT to holdfast_jobs_app

table jobs.project_intake owner holdfast_jobs_owner row level security forced with (fillfactor=50)
  column tenant_id text collate "C" not null
  column project_id text collate "C" not null
  column submitted bigint not null
  column infra_submitted bigint not null
  constraint project_intake_pkey PRIMARY KEY (tenant_id, project_id)
  policy background for all to holdfast_jobs_task using true with check true
  policy tenant_scope for all to holdfast_jobs_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  grant INSERT, SELECT, UPDATE to holdfast_jobs_app
  grant SELECT to holdfast_jobs_task

table jobs.project_settings owner holdfast_jobs_owner row level security forced
  column tenant_id text collate "C" not null
  column project_id text collate "C" not null
  column version bigint not null
  column running_max integer
  column weight integer
  column queue_soft bigint
  column queue_hard bigint
  column tokens_per_day_max bigint
  column cost_micros_per_day_max bigint
  column intents jsonb not null
  column updated_at timestamp with time zone not null
  column updated_by text collate "C" not null
  constraint project_intents_have_names CHECK ((jsonb_typeof(intents) = 'object'::text))
  constraint project_settings_are_in_range CHECK ((((running_max >= 1) AND (running_max <= 1000000)) AND ((weight >= 1) AND (weight <= 10000)) AND ((queue_soft >= 1) AND (queue_soft <= 1000000)) AND ((queue_hard >= 1) AND (queue_hard <= 1000000)) AND (queue_soft <= queue_hard) AND (tokens_per_day_max >= 1) AND (cost_micros_per_day_max >= 1)))
  constraint project_settings_pkey PRIMARY KEY (tenant_id, project_id)
  constraint project_version_counts_changes CHECK ((version >= 1))
  CREATE INDEX project_settings_by_change ON jobs.project_settings USING btree (updated_at)
  policy background for select to holdfast_jobs_task using true
  policy tenant_scope for all to holdfast_jobs_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  grant INSERT, SELECT, UPDATE to holdfast_jobs_app
  grant SELECT to holdfast_jobs_task

table jobs.project_slots owner holdfast_jobs_owner row level security forced with (fillfactor=50)
  column tenant_id text collate "C" not null
  column project_id text collate "C" not null
  column running integer not null
  column dequeued bigint not null
  column infra_dequeued bigint not null
  column running_max integer
  column weight integer
  constraint project_limits_are_positive CHECK (((running_max >= 1) AND (weight >= 1)))
  constraint project_running_is_not_negative CHECK ((running >= 0))
  constraint project_slots_pkey PRIMARY KEY (tenant_id, project_id)
  policy background for all to holdfast_jobs_task using true with check true
  policy tenant_scope for all to holdfast_jobs_app using (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[])) with check (tenant_id = ANY (( SELECT string_to_array(current_setting('holdfast.tenants'::text, true), ','::text) AS string_to_array)::text[]))
  grant INSERT, SELECT, UPDATE to holdfast_jobs_app
  grant SELECT, UPDATE to holdfast_jobs_task

table jobs.table_row_counts owner holdfast_jobs_owner
  column table_name text collate "C" not null
  column day date not null
  column rows bigint not null
  column mark text collate "C"
  column counted_at timestamp with time zone not null
  constraint row_count_mark_is_known CHECK ((mark = ANY (ARRAY['preparation'::text, 'activation'::text])))
  constraint table_row_counts_pkey PRIMARY KEY (table_name, day)
  grant INSERT, SELECT to holdfast_jobs_task

table jobs.task_leases owner holdfast_jobs_owner
  column task text collate "C" not null
  column holder text not null
  column epoch bigint not null
  column expires_at timestamp with time zone not null
  constraint task_leases_pkey PRIMARY KEY (task)
  grant INSERT, SELECT, UPDATE to holdfast_jobs_task

routine jobs.ensure_partitions(weeks_ahead integer) owner holdfast_jobs_owner
  grant EXECUTE to holdfast_jobs_task
  CREATE OR REPLACE FUNCTION jobs.ensure_partitions(weeks_ahead integer)
   RETURNS integer
   LANGUAGE plpgsql
   SECURITY DEFINER
   SET search_path TO 'pg_catalog'
  AS $function$
  DECLARE
      this_week  timestamptz := date_trunc('week', clock_timestamp() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
      starts     timestamptz;
      parent     record;
      leaf       text;
      made       integer := 0;
  BEGIN
      IF weeks_ahead NOT BETWEEN 1 AND 53 THEN
          RAISE EXCEPTION 'weeks_ahead must be 1 to 53' USING ERRCODE = 'invalid_parameter_value';
      END IF;
      FOR parent IN
          SELECT class.relname AS name, EXISTS (
              SELECT FROM pg_trigger AS trigger
              WHERE trigger.tgrelid = class.oid AND trigger.tgname = class.relname || '_only_grow'
          ) AS only_grows
          FROM pg_partitioned_table AS partitioned
          JOIN pg_class AS class ON class.oid = partitioned.partrelid
          JOIN pg_attribute AS key ON key.attrelid = class.oid AND key.attnum = partitioned.partattrs[0]
          WHERE class.relnamespace = 'jobs'::regnamespace AND partitioned.partstrat = 'r' AND key.atttypid = 'uuid'::regtype
          ORDER BY class.relname
      LOOP
          FOR week IN -1 .. weeks_ahead LOOP
              starts := this_week + make_interval(days => week * 7);
              leaf := format('%s_p%s', parent.name, to_char(starts AT TIME ZONE 'UTC', 'YYYYMMDD'));
              CONTINUE WHEN to_regclass(format('jobs.%I', leaf)) IS NOT NULL;
              EXECUTE format('CREATE TABLE jobs.%I PARTITION OF jobs.%I FOR VALUES FROM (%L) TO (%L) WITH (%s)',
                  leaf, parent.name, jobs.uuid7_floor(starts), jobs.uuid7_floor(starts + interval '7 days'),
                  CASE WHEN parent.only_grows THEN 'fillfactor = 100' ELSE 'fillfactor = 60' END);
              EXECUTE format('ALTER TABLE jobs.%I ENABLE ROW LEVEL SECURITY', leaf);
              EXECUTE format('ALTER TABLE jobs.%I FORCE ROW LEVEL SECURITY', leaf);
              IF parent.only_grows THEN
                  EXECUTE format('CREATE TRIGGER %s_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON jobs.%I '
                      'FOR EACH STATEMENT EXECUTE FUNCTION jobs.refuse_change()', parent.name, leaf);
              END IF;
              made := made + 1;
          END LOOP;
      END LOOP;
      RETURN made;
  END $function$

routine jobs.outbox_ring_advance(slot_age interval, keep interval) owner holdfast_jobs_owner
  grant EXECUTE to holdfast_jobs_task
  CREATE OR REPLACE FUNCTION jobs.outbox_ring_advance(slot_age interval, keep interval)
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
      SELECT slot, opened_at INTO STRICT current_slot, opened FROM jobs.outbox_ring WHERE is_current FOR UPDATE;
      UPDATE jobs.outbox_ring AS ring SET unpublished_at = clock_timestamp()
          WHERE NOT ring.is_current AND EXISTS (SELECT FROM jobs.outbox WHERE slot = ring.slot AND published_at IS NULL);
      IF clock_timestamp() < opened + slot_age THEN
          RETURN current_slot;
      END IF;
      FOR candidate IN
          SELECT slot FROM jobs.outbox_ring
          WHERE NOT is_current AND (closed_at IS NULL OR closed_at < clock_timestamp() - keep)
              AND (unpublished_at IS NULL OR unpublished_at < clock_timestamp() - keep)
          ORDER BY (slot - current_slot + 16) % 16
      LOOP
          leaf := format('jobs.outbox_s%s', lpad(candidate.slot::text, 2, '0'));
          -- Locked before it is looked at: a slow transaction may hold rows for this slot that nobody sees yet. Where it
          -- does, or a reader is in the way, the slot is passed over this time.
          BEGIN
              EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE NOWAIT', leaf);
          EXCEPTION WHEN lock_not_available THEN
              CONTINUE;
          END;
          -- Through the parent: its policy shows the rows, the leaf's own shows none.
          CONTINUE WHEN EXISTS (SELECT FROM jobs.outbox WHERE slot = candidate.slot AND published_at IS NULL);
          EXECUTE format('TRUNCATE TABLE %s', leaf);
          UPDATE jobs.outbox_ring SET is_current = false, closed_at = clock_timestamp() WHERE slot = current_slot;
          UPDATE jobs.outbox_ring
              SET is_current = true, opened_at = clock_timestamp(), closed_at = NULL, emptied_at = clock_timestamp(), unpublished_at = NULL
              WHERE slot = candidate.slot;
          RETURN candidate.slot;
      END LOOP;
      RETURN NULL;
  END $function$

routine jobs.refuse_change() owner holdfast_jobs_owner
  grant EXECUTE to PUBLIC
  CREATE OR REPLACE FUNCTION jobs.refuse_change()
   RETURNS trigger
   LANGUAGE plpgsql
  AS $function$
  BEGIN
      RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
  END $function$

routine jobs.row_estimates() owner holdfast_jobs_owner
  grant EXECUTE to holdfast_jobs_task
  CREATE OR REPLACE FUNCTION jobs.row_estimates()
   RETURNS TABLE(table_name text, is_partitioned boolean, relation_name text, rows bigint)
   LANGUAGE sql
   STABLE
  AS $function$
      SELECT
          parent.relname::text, parent.relkind = 'p', leaf.relname::text,
          CASE WHEN leaf.reltuples < 0 THEN pg_catalog.pg_stat_get_live_tuples(leaf.oid) ELSE leaf.reltuples::bigint END
      FROM pg_catalog.pg_class AS parent
      JOIN pg_catalog.pg_namespace AS space ON space.oid = parent.relnamespace AND space.nspname = 'jobs'
      LEFT JOIN pg_catalog.pg_inherits AS link ON link.inhparent = parent.oid
      JOIN pg_catalog.pg_class AS leaf ON leaf.oid = coalesce(link.inhrelid, parent.oid) AND leaf.relkind = 'r'
      WHERE parent.relkind IN ('r', 'p') AND NOT parent.relispartition AND parent.relname <> 'schema_migrations'
  $function$

routine jobs.time_partitions() owner holdfast_jobs_owner
  grant EXECUTE to holdfast_jobs_task
  CREATE OR REPLACE FUNCTION jobs.time_partitions()
   RETURNS TABLE(table_name text, partition_name text, covers_from timestamp with time zone, covers_to timestamp with time zone)
   LANGUAGE sql
   STABLE
  AS $function$
      SELECT parent.relname::text, leaf.relname::text, jobs.uuid7_time(bound[1]::uuid), jobs.uuid7_time(bound[2]::uuid)
      FROM pg_catalog.pg_partitioned_table AS kind
      JOIN pg_catalog.pg_class AS parent ON parent.oid = kind.partrelid
      JOIN pg_catalog.pg_namespace AS space ON space.oid = parent.relnamespace AND space.nspname = 'jobs'
      JOIN pg_catalog.pg_inherits AS link ON link.inhparent = parent.oid
      JOIN pg_catalog.pg_class AS leaf ON leaf.oid = link.inhrelid
      CROSS JOIN LATERAL regexp_match(
          pg_catalog.pg_get_expr(leaf.relpartbound, leaf.oid), 'FROM \(''([0-9a-f-]{36})''\) TO \(''([0-9a-f-]{36})''\)'
      ) AS bound
      WHERE kind.partstrat = 'r' AND bound IS NOT NULL
  $function$

routine jobs.uuid7_floor(at timestamp with time zone) owner holdfast_jobs_owner
  grant EXECUTE to PUBLIC
  CREATE OR REPLACE FUNCTION jobs.uuid7_floor(at timestamp with time zone)
   RETURNS uuid
   LANGUAGE sql
   IMMUTABLE PARALLEL SAFE STRICT
  RETURN ((lpad(to_hex((floor((EXTRACT(epoch FROM at) * (1000)::numeric)))::bigint), 12, '0'::text) || repeat('0'::text, 20)))::uuid

routine jobs.uuid7_time(id uuid) owner holdfast_jobs_owner
  grant EXECUTE to holdfast_jobs_task
  CREATE OR REPLACE FUNCTION jobs.uuid7_time(id uuid)
   RETURNS timestamp with time zone
   LANGUAGE sql
   IMMUTABLE PARALLEL SAFE STRICT
  AS $function$
      SELECT to_timestamp((('x' || lpad(left(replace(id::text, '-', ''), 12), 16, '0'))::bit(64)::bigint) / 1000.0)
  $function$
