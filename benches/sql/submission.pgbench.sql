-- The rows of :jobs submissions in one statement, which is one transaction: job, history, ledger, its head, place in the
-- queue, event. Payload 256 bytes, event 400 bytes.
WITH item AS MATERIALIZED (
    SELECT
        number,
        (substr(clock.hex, 1, 8) || '-' || substr(clock.hex, 9, 4) || '-7' || substr(gen_random_uuid()::text, 16))::uuid AS job_id,
        (substr(clock.hex, 1, 8) || '-' || substr(clock.hex, 9, 4) || '-7' || substr(gen_random_uuid()::text, 16))::uuid AS ledger_id,
        't0' || number % 10 AS tenant_id,
        'p0' || number / 10 % 10 AS project_id,
        'bench-' || gen_random_uuid() AS idempotency_key,
        clock.at
    FROM (
        SELECT at, lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') AS hex
        FROM (SELECT clock_timestamp() AS at) AS now
    ) AS clock
    CROSS JOIN (SELECT (random() * 99)::int + step AS number FROM generate_series(1, CAST(:jobs AS integer)) AS step) AS series
), head AS (
    INSERT INTO jobs.idempotency_heads (
        tenant_id, project_id, intent, actor_id, idempotency_key, generation, ledger_id, payload_hash, window_end, job_id,
        token, completed_at
    )
    SELECT
        tenant_id, project_id, 'bench.noop', 'bench-user', idempotency_key, 1, ledger_id, decode(repeat('ab', 32), 'hex'),
        at + interval '1 day', job_id, 0, at
    FROM item
), job AS (
    INSERT INTO jobs.jobs (
        job_id, tenant_id, project_id, intent, queue, tier, priority, state, seq, actor_id, idempotency_key,
        idempotency_payload_hash, payload, payload_content_type, max_attempts, run_budget_ms, attempt, fence, run_ms,
        created_at, request_id, traceparent
    )
    SELECT
        job_id, tenant_id, project_id, 'bench.noop', 'project', 'A', 0, 'queued', 1, 'bench-user', idempotency_key,
        decode(repeat('ab', 32), 'hex'), decode(repeat('ab', 256), 'hex'), 'application/json', 5, 3600000, 0, 0, 0,
        at, job_id::text, '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    FROM item
), history AS (
    INSERT INTO jobs.job_events (
        job_id, seq, tenant_id, project_id, event_id, to_state, attempt, fence, actor_id, command_key, command_hash, detail,
        occurred_at, request_id, traceparent
    )
    SELECT
        job_id, 1, tenant_id, project_id, gen_random_uuid(), 'queued', 0, 0, 'bench-user', idempotency_key,
        decode(repeat('ab', 32), 'hex'), '', at, job_id::text, '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    FROM item
), ledger AS (
    INSERT INTO jobs.idempotency_ledger (
        ledger_id, tenant_id, idempotency_key, project_id, intent, actor_id, generation, window_start, window_end,
        payload_hash, job_id, completed_at, first_seen_at, last_seen_at
    )
    SELECT
        ledger_id, tenant_id, idempotency_key, project_id, 'bench.noop', 'bench-user', 1, at, at + interval '1 day',
        decode(repeat('ab', 32), 'hex'), job_id, at, at, at
    FROM item
), ready AS (
    INSERT INTO jobs.job_queue (tenant_id, project_id, queue, intent, rank, ready_at, job_id)
    SELECT tenant_id, project_id, 'project', 'bench.noop', 9, at, job_id FROM item
)
INSERT INTO jobs.outbox (
    slot, outbox_id, shard, tenant_id, project_id, ordering_key, key_seq, event_name, event_payload, traceparent, created_at
)
SELECT
    0, ledger_id, (number % 16)::smallint, tenant_id, project_id, job_id::text, 1, 'job.queued', decode(repeat('ab', 400), 'hex'),
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', at
FROM item;
