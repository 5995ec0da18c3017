-- A row in every table of schema jobs, for the rehearsal of its migrations: going down and up over an empty schema would
-- prove little. Run as an administrator, whom row-level security does not bind.
SELECT jobs.ensure_partitions(1);

WITH made AS (SELECT jobs.uuid7_floor(clock_timestamp()) AS id, clock_timestamp() AS at)
INSERT INTO jobs.jobs (job_id, tenant_id, project_id, intent, queue, tier, priority, state, seq, actor_id, idempotency_key,
    idempotency_payload_hash, payload, payload_content_type, max_attempts, run_budget_ms, attempt, fence, run_ms, created_at,
    request_id, traceparent, classification, residency)
SELECT id, 'sample', 'sample', 'sample.run', 'project', 'A', 5, 'queued', 1, 'rehearsal', 'sample-1',
    decode(repeat('00', 32), 'hex'), '{}', 'application/json', 3, 60000, 0, 0, 0, at, 'rehearsal', '', 'sensitive', 'EU'
FROM made;

INSERT INTO jobs.job_events (job_id, seq, tenant_id, project_id, event_id, to_state, attempt, fence, actor_id, detail, occurred_at,
    request_id, traceparent)
SELECT job_id, 1, tenant_id, project_id, gen_random_uuid(), 'queued', 0, 0, actor_id, '', created_at, request_id, traceparent
FROM jobs.jobs;

INSERT INTO jobs.job_queue (tenant_id, project_id, queue, intent, rank, ready_at, job_id)
SELECT tenant_id, project_id, queue, intent, 9 - priority, created_at, job_id FROM jobs.jobs;

INSERT INTO jobs.job_delayed (job_id, due_at, tenant_id, project_id, queue, intent, rank)
SELECT job_id, created_at, tenant_id, project_id, queue, intent, 9 - priority FROM jobs.jobs;

INSERT INTO jobs.job_leases (job_id, lease_id, tenant_id, project_id, fence, worker_id, leased_at, expires_at, run_deadline)
SELECT job_id, gen_random_uuid(), tenant_id, project_id, 1, 'rehearsal', created_at, created_at, created_at FROM jobs.jobs;

INSERT INTO jobs.job_queue_clock (job_id, tenant_id, waited_ms, seen_at, ready_at, told)
SELECT job_id, tenant_id, 1000, created_at, created_at, true FROM jobs.jobs;

INSERT INTO jobs.job_waits (job_id, tenant_id, project_id, budget_ms, spent_ms, ends_at, reminds, reminders)
SELECT job_id, tenant_id, project_id, 7200000, 0, created_at + interval '7 days', false, 0 FROM jobs.jobs;

INSERT INTO jobs.approvals (job_id, number, approval_id, tenant_id, project_id, decision, reason, actor_id, role, command_key,
    command_hash, decided_at, request_id, traceparent)
SELECT job_id, 1, gen_random_uuid(), tenant_id, project_id, 'approve', '', 'rehearsal', 'owner', 'sample-1',
    decode(repeat('00', 32), 'hex'), created_at, 'rehearsal', '' FROM jobs.jobs;

INSERT INTO jobs.job_dependencies (job_id, depends_on, tenant_id, on_failure)
SELECT job_id, jobs.uuid7_floor(created_at - interval '1 minute'), tenant_id, 'block' FROM jobs.jobs;

INSERT INTO jobs.job_holds (job_id, tenant_id, held_by, of_tenant, was_queued)
SELECT job_id, tenant_id, 'kill_switch:project:sample', tenant_id, true FROM jobs.jobs;

INSERT INTO jobs.job_settlements (settlement_id, job_id, tenant_id, after_job_id)
SELECT gen_random_uuid(), job_id, tenant_id, '00000000-0000-0000-0000-000000000000' FROM jobs.jobs;
INSERT INTO jobs.model_usage (job_id, idempotency_key, tenant_id, project_id, user_id, provider, model, input_tokens, output_tokens,
    cost_micro_usd, actor_id, recorded_at, request_id, traceparent)
SELECT job_id, 'sample-1', tenant_id, project_id, actor_id, 'sample', 'sample', 1, 1, 1, 'rehearsal', created_at, 'rehearsal', ''
FROM jobs.jobs;

INSERT INTO jobs.job_usage (job_id, tenant_id, project_id, tokens, cost_micro_usd, entries)
SELECT job_id, tenant_id, project_id, 2, 1, 1 FROM jobs.jobs;

INSERT INTO jobs.budget_usage (tenant_id, scope, scope_id, period_start, period_end, tokens, cost_micro_usd, entries)
VALUES ('sample', 'project', 'sample', date_trunc('day', now()), date_trunc('day', now()) + interval '1 day', 2, 1, 1);

INSERT INTO jobs.project_intake (tenant_id, project_id, submitted, infra_submitted) VALUES ('sample', 'sample', 1, 0);
INSERT INTO jobs.project_slots (tenant_id, project_id, running, dequeued, infra_dequeued) VALUES ('sample', 'sample', 0, 0, 0);

INSERT INTO jobs.idempotency_ledger (ledger_id, tenant_id, idempotency_key, project_id, intent, actor_id, generation, window_start,
    window_end, payload_hash, job_id, first_seen_at, last_seen_at)
SELECT job_id, tenant_id, idempotency_key, project_id, intent, actor_id, 1, created_at, created_at + interval '1 day',
    idempotency_payload_hash, job_id, created_at, created_at
FROM jobs.jobs;

INSERT INTO jobs.idempotency_heads (tenant_id, project_id, intent, actor_id, idempotency_key, generation, ledger_id, payload_hash,
    window_end, job_id, token)
SELECT tenant_id, project_id, intent, actor_id, idempotency_key, generation, ledger_id, payload_hash, window_end, job_id, 0
FROM jobs.idempotency_ledger;

INSERT INTO jobs.outbox (slot, outbox_id, shard, tenant_id, project_id, ordering_key, key_seq, event_name, event_payload, traceparent,
    created_at)
SELECT 0, gen_random_uuid(), 0, tenant_id, project_id, job_id::text, 1, 'job.queued', '', '', created_at FROM jobs.jobs;

INSERT INTO jobs.task_leases (task, holder, epoch, expires_at) VALUES ('sample', 'rehearsal', 1, clock_timestamp());

INSERT INTO jobs.table_row_counts (table_name, day, rows, mark, counted_at)
SELECT 'jobs', created_at::date, 1, 'preparation', created_at FROM jobs.jobs;

INSERT INTO jobs.archive_queue (partition_name, table_name, covers_from, covers_to, rows, state, marked_at)
SELECT 'job_events_p20200106', 'job_events', created_at - interval '7 days', created_at, 1, 'ready', created_at FROM jobs.jobs;
INSERT INTO jobs.project_settings (tenant_id, project_id, version, running_max, weight, intents, updated_at, updated_by)
VALUES ('sample', 'sample', 1, 1, 100, '{}', clock_timestamp(), 'rehearsal');
INSERT INTO jobs.project_changes (tenant_id, project_id, version, settings, actor_id, role, changed_at, request_id, traceparent)
VALUES ('sample', 'sample', 1, '{}', 'rehearsal', 'owner', clock_timestamp(), 'rehearsal', '');
