-- Everything that a new job is: the job, its first history row, its ledger row, its place in dispatch, its event, and the
-- count that its project's depth limit goes by. The counts come back, so that a batch that went over a limit can be undone.
-- A job that a worker has at once is inserted as running, with its lease, and with the second history row and event of that.
WITH item AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int2[], $8::text[], $9::text[], $10::bytea[],
        $11::bytea[], $12::text[], $13::int4[], $14::int8[], $15::timestamptz[], $16::text[], $17::text[],
        $18::uuid[], $19::int8[], $20::timestamptz[], $21::timestamptz[], $22::uuid[], $23::int2[], $24::bytea[], $25::text[],
        $26::text[], $27::int8[], $28::int4[], $29::int8[], $30::uuid[], $31::text[], $32::timestamptz[], $33::timestamptz[],
        $34::timestamptz[], $35::uuid[], $36::bytea[], $37::text[], $38::text[], $39::text[], $40::uuid[], $41::text[], $42::uuid[], $43::int2[],
        $44::text[], $45::text[], $46::int8[], $47::text[], $48::text[], $49::bool[]
    ) AS item (
        job_id, tenant_id, project_id, intent, queue, tier, priority, actor_id, idempotency_key, payload_hash,
        payload, payload_content_type, max_attempts, run_budget_ms, run_after, request_id, traceparent,
        ledger_id, generation, window_end, created_at, event_id, shard, event_payload, detail,
        state, seq, attempt, fence, lease_id, worker_id, started_at, lease_expires_at,
        run_deadline, lease_event_id, lease_event_payload, lease_actor_id, lease_detail, lease_request_id, resubmits, first_state,
        parent_job_id, depth, depends_on, on_dependency_failure, total_budget_ms, classification, residency, awaited
    )
), job AS (
    INSERT INTO jobs.jobs (
        job_id, tenant_id, project_id, intent, queue, tier, priority, state, seq, actor_id, idempotency_key,
        idempotency_payload_hash, payload, payload_content_type, max_attempts, run_budget_ms, attempt, fence,
        lease_id, worker_id, run_ms, run_after, created_at, started_at, request_id, traceparent, resubmits,
        parent_job_id, depth, classification, residency, depends_on, on_dependency_failure, total_budget_ms, hash_key, awaited
    )
    SELECT
        job_id, tenant_id, project_id, intent, queue, tier, priority, state, seq, actor_id, idempotency_key,
        payload_hash, payload, payload_content_type, max_attempts, run_budget_ms, attempt, fence,
        lease_id, worker_id, 0, run_after, created_at, started_at, request_id, traceparent, resubmits,
        parent_job_id, depth, classification, residency, string_to_array(depends_on, ',')::uuid[], string_to_array(on_dependency_failure, ','),
        total_budget_ms,
        -- 244 bits that nobody else has.
        CASE WHEN classification = 'sensitive' THEN uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) END,
        awaited
    FROM item
), history AS (
    INSERT INTO jobs.job_events (
        job_id, seq, tenant_id, project_id, event_id, from_state, to_state, attempt, fence, actor_id, worker_id,
        command_key, command_hash, detail, occurred_at, request_id, traceparent
    )
    SELECT
        job_id, 1, tenant_id, project_id, event_id, NULL, first_state, 0, 0, actor_id, NULL,
        idempotency_key, CASE WHEN classification <> 'sensitive' THEN payload_hash END, detail, created_at, request_id, traceparent
    FROM item
    UNION ALL
    SELECT
        job_id, seq, tenant_id, project_id, lease_event_id, 'queued', state, attempt, fence, lease_actor_id, worker_id,
        NULL, NULL, lease_detail, started_at, lease_request_id, traceparent
    FROM item WHERE lease_id IS NOT NULL
), ledger AS (
    INSERT INTO jobs.idempotency_ledger (
        ledger_id, tenant_id, idempotency_key, project_id, intent, actor_id, generation, window_start, window_end,
        payload_hash, job_id, completed_at, first_seen_at, last_seen_at
    )
    SELECT
        ledger_id, tenant_id, idempotency_key, project_id, intent, actor_id, generation, created_at, window_end,
        payload_hash, job_id, created_at, created_at, created_at
    FROM item
), ready AS (
    INSERT INTO jobs.job_queue (tenant_id, project_id, queue, intent, rank, ready_at, job_id)
    SELECT tenant_id, project_id, queue, intent, 9 - priority, created_at, job_id FROM item
    WHERE state = 'queued' AND (run_after IS NULL OR run_after <= created_at)
), delayed AS (
    INSERT INTO jobs.job_delayed (job_id, due_at, tenant_id, project_id, queue, intent, rank)
    SELECT job_id, run_after, tenant_id, project_id, queue, intent, 9 - priority FROM item
    WHERE state = 'queued' AND run_after > created_at
), leased AS (
    INSERT INTO jobs.job_leases (job_id, lease_id, tenant_id, project_id, fence, worker_id, leased_at, expires_at, run_deadline)
    SELECT job_id, lease_id, tenant_id, project_id, fence, worker_id, started_at, lease_expires_at, run_deadline
    FROM item WHERE lease_id IS NOT NULL
), event AS (
    INSERT INTO jobs.outbox (
        slot, outbox_id, shard, tenant_id, project_id, ordering_key, key_seq, event_name, event_payload, traceparent, created_at
    )
    SELECT
        ring.slot, event_id, shard, tenant_id, project_id, job_id::text, 1, 'job.' || first_state, event_payload, traceparent, created_at
    FROM (SELECT slot FROM jobs.outbox_ring WHERE is_current) AS ring, item
    UNION ALL
    -- Behind the first: a later position for the later event of a job.
    SELECT
        ring.slot, lease_event_id, shard, tenant_id, project_id, job_id::text, seq, 'job.' || state, lease_event_payload,
        traceparent, started_at
    FROM (SELECT slot FROM jobs.outbox_ring WHERE is_current) AS ring, item WHERE lease_id IS NOT NULL
)
INSERT INTO jobs.project_intake AS intake (tenant_id, project_id, submitted, infra_submitted)
SELECT tenant_id, project_id, count(*) FILTER (WHERE queue = 'project'), count(*) FILTER (WHERE queue = 'infra')
FROM item GROUP BY tenant_id, project_id ORDER BY tenant_id, project_id
ON CONFLICT (tenant_id, project_id) DO UPDATE SET
    submitted = intake.submitted + excluded.submitted,
    infra_submitted = intake.infra_submitted + excluded.infra_submitted
RETURNING
    tenant_id, project_id, submitted, infra_submitted,
    (SELECT slots.dequeued FROM jobs.project_slots AS slots
        WHERE slots.tenant_id = intake.tenant_id AND slots.project_id = intake.project_id) AS "dequeued?"
