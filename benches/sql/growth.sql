-- Jobs $1 to $2 of the $3 to $4 that are spread evenly over the past 90 days, done at their first attempt, with their keys:
-- a head each and the ledger row of its window, which is open, so that a submission of payload hash $5 is a replay. No
-- history: no look-up reads it.
WITH item AS MATERIALIZED (
    SELECT
        number,
        (substr(hex.at, 1, 8) || '-' || substr(hex.at, 9, 4) || '-7' || substr(hex.rest, 1, 3) || '-8' || substr(hex.rest, 4, 3)
            || '-' || substr(hex.rest, 7, 12))::uuid AS job_id,
        (substr(hex.at, 1, 8) || '-' || substr(hex.at, 9, 4) || '-7' || substr(hex.rest, 19, 3) || '-8' || substr(hex.rest, 22, 3)
            || '-' || substr(hex.rest, 7, 12))::uuid AS ledger_id,
        clock.at AS created_at,
        't' || lpad((number % 10)::text, 2, '0') AS tenant_id,
        'p' || lpad((number / 10 % 10)::text, 2, '0') AS project_id
    FROM generate_series($1::int8, $2::int8) AS number
    CROSS JOIN LATERAL (
        SELECT now() - interval '1 hour' - interval '90 days' * (1 - (number - $3::int8)::float8 / ($4::int8 - $3::int8 + 1)) AS at
    ) AS clock
    CROSS JOIN LATERAL (
        SELECT
            lpad(to_hex(floor(extract(epoch FROM clock.at) * 1000)::int8), 12, '0') AS at,
            md5(number::text) AS rest
    ) AS hex
), head AS (
    INSERT INTO jobs.idempotency_heads (
        tenant_id, project_id, intent, actor_id, idempotency_key, generation, ledger_id, payload_hash, window_end, job_id,
        token, completed_at
    )
    SELECT
        tenant_id, project_id, 'bench.noop', 'bench-user', 'growth-' || number, 1, ledger_id, $5, now() + interval '7 days', job_id,
        0, created_at
    FROM item
), ledger AS (
    INSERT INTO jobs.idempotency_ledger (
        ledger_id, tenant_id, idempotency_key, project_id, intent, actor_id, generation, window_start, window_end,
        payload_hash, job_id, completed_at, first_seen_at, last_seen_at
    )
    SELECT
        ledger_id, tenant_id, 'growth-' || number, project_id, 'bench.noop', 'bench-user', 1, created_at, now() + interval '7 days',
        $5, job_id, created_at, created_at, created_at
    FROM item
)
INSERT INTO jobs.jobs (
    job_id, tenant_id, project_id, intent, queue, tier, priority, state, seq, actor_id, idempotency_key,
    idempotency_payload_hash, payload, payload_content_type, result, result_content_type, max_attempts, run_budget_ms,
    attempt, fence, lease_id, worker_id, run_ms, created_at, started_at, finished_at, request_id, traceparent
)
SELECT
    job_id, tenant_id, project_id, 'bench.noop', 'project', 'A', 0, 'done', 3, 'bench-user', 'growth-' || number,
    $5, '{}', 'application/json', '{}', 'application/json', 5, 3600000,
    1, 1, job_id, 'bench-worker-0', 5, created_at, created_at + interval '5 ms', created_at + interval '10 ms', 'growth', ''
FROM item
