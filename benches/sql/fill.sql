-- Jobs $1 to $2 of the past six days (always within the partitions that are there), done at their first attempt, with
-- their three history rows each. The id's time is the job's; the rest of it is made of its number.
WITH item AS MATERIALIZED (
    SELECT
        number,
        (substr(hex.at, 1, 8) || '-' || substr(hex.at, 9, 4) || '-7' || substr(hex.rest, 1, 3) || '-8' || substr(hex.rest, 4, 3)
            || '-' || substr(hex.rest, 7, 12))::uuid AS job_id,
        clock.at AS created_at,
        't' || lpad((number % 10)::text, 2, '0') AS tenant_id,
        'p' || lpad((number / 10 % 10)::text, 2, '0') AS project_id
    FROM generate_series($1::int8, $2::int8) AS number
    CROSS JOIN LATERAL (SELECT now() - interval '1 hour' - random() * interval '143 hours' + number * interval '0' AS at) AS clock
    CROSS JOIN LATERAL (
        SELECT
            lpad(to_hex(floor(extract(epoch FROM clock.at) * 1000)::int8), 12, '0') AS at,
            md5(number::text) AS rest
    ) AS hex
), job AS (
    INSERT INTO jobs.jobs (
        job_id, tenant_id, project_id, intent, queue, tier, priority, state, seq, actor_id, idempotency_key,
        idempotency_payload_hash, payload, payload_content_type, result, result_content_type, max_attempts, run_budget_ms,
        attempt, fence, lease_id, worker_id, run_ms, created_at, started_at, finished_at, request_id, traceparent
    )
    SELECT
        job_id, tenant_id, project_id, 'bench.noop', 'project', 'A', 0, 'done', 3, 'bench-user', 'fill-' || number,
        sha256(number::text::bytea), convert_to(rpad('{"text":"', 254, 'x') || '"}', 'UTF8'), 'application/json',
        '{}', 'application/json', 5, 3600000,
        1, 1, job_id, 'bench-worker-0', 5, created_at, created_at + interval '5 ms', created_at + interval '10 ms', 'fill', '00-' || md5(number::text) || '-' || substr(md5(number::text), 1, 16) || '-01'
    FROM item
)
INSERT INTO jobs.job_events (
    job_id, seq, tenant_id, project_id, event_id, from_state, to_state, attempt, fence, actor_id, worker_id, detail,
    occurred_at, request_id, traceparent
)
SELECT
    item.job_id, step.seq, item.tenant_id, item.project_id, gen_random_uuid(), step.from_state, step.to_state,
    least(step.seq - 1, 1), least(step.seq - 1, 1), 'bench-user', CASE WHEN step.seq > 1 THEN 'bench-worker-0' END, '',
    item.created_at + step.seq * interval '5 ms', 'fill', '00-' || md5(item.number::text) || '-' || substr(md5(item.number::text), 1, 16) || '-01'
FROM item
CROSS JOIN (VALUES (1, NULL, 'queued'), (2, 'queued', 'running'), (3, 'running', 'done')) AS step (seq, from_state, to_state)
