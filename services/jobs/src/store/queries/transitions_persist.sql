-- Every transition after the submission, of any kind: the job, exactly one history row, exactly one event, its place in
-- dispatch, and its project's count of running jobs. The jobs are locked and loaded before; job.seq guards that nothing
-- moved in between all the same.
WITH item AS MATERIALIZED (
    SELECT
        *,
        -- The claim knows since when the job was queued; a cancellation does not and looks at all of the project's rank.
        -- Worked out here: inside the join, row-level security would not let it be an index condition.
        coalesce(queued_since, '-infinity') AS queued_from, coalesce(queued_since, 'infinity') AS queued_to
    FROM unnest(
        $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int2[], $7::text[], $8::text[], $9::int8[], $10::int4[],
        $11::int8[], $12::uuid[], $13::text[], $14::int8[], $15::text[], $16::text[], $17::timestamptz[], $18::timestamptz[],
        $19::timestamptz[], $20::text[], $21::timestamptz[], $22::timestamptz[], $23::bytea[], $24::text[], $25::timestamptz[],
        $26::timestamptz[], $27::timestamptz[], $28::uuid[], $29::int2[], $30::bytea[], $31::text[], $32::text[], $33::text[],
        $34::bytea[], $35::text[], $36::timestamptz[], $37::text[], $38::text[], $39::timestamptz[], $40::int8[]
    ) AS item (
        job_id, tenant_id, project_id, queue, intent, rank, from_state, state, seq, attempt,
        fence, lease_id, worker_id, run_ms, failure_code, failure_message, failed_at, retry_since,
        next_attempt_at, timed_out_clock, started_at, finished_at, result, result_content_type, lease_expires_at,
        run_deadline, queued_since, event_id, shard, event_payload, actor_id, history_worker_id, command_key,
        command_hash, detail, occurred_at, request_id, traceparent, delayed_until, backoff_ms
    )
), moved AS (
    UPDATE jobs.jobs AS job SET
        state = item.state, seq = item.seq, attempt = item.attempt, fence = item.fence,
        lease_id = coalesce(item.lease_id, job.lease_id), worker_id = coalesce(item.worker_id, job.worker_id),
        run_ms = item.run_ms, backoff_ms = item.backoff_ms, failure_code = item.failure_code, failure_message = item.failure_message,
        failed_at = item.failed_at, retry_since = item.retry_since, next_attempt_at = item.next_attempt_at,
        timed_out_clock = item.timed_out_clock, started_at = item.started_at, finished_at = item.finished_at,
        result = item.result, result_content_type = item.result_content_type
    FROM item
    WHERE job.job_id = item.job_id AND job.tenant_id = item.tenant_id AND job.seq = item.seq - 1
    RETURNING
        job.job_id,
        CASE WHEN job.state = 'running' THEN job.payload END AS payload,
        CASE WHEN job.state = 'running' THEN job.payload_content_type END AS payload_content_type
), unqueued AS (
    DELETE FROM jobs.job_queue AS queue USING item
    WHERE item.from_state IN ('queued', 'retrying')
        AND queue.tenant_id = item.tenant_id AND queue.project_id = item.project_id AND queue.rank = item.rank
        AND queue.ready_at >= item.queued_from AND queue.ready_at <= item.queued_to
        AND queue.job_id = item.job_id
), undelayed AS (
    DELETE FROM jobs.job_delayed AS delayed USING item
    WHERE item.from_state IN ('queued', 'retrying') AND item.state <> 'running'
        AND delayed.job_id = item.job_id AND delayed.tenant_id = item.tenant_id
), unleased AS (
    DELETE FROM jobs.job_leases AS lease USING item
    WHERE item.from_state = 'running' AND lease.job_id = item.job_id AND lease.tenant_id = item.tenant_id
), leased AS (
    INSERT INTO jobs.job_leases (job_id, lease_id, tenant_id, project_id, fence, worker_id, leased_at, expires_at, run_deadline)
    SELECT job_id, lease_id, tenant_id, project_id, fence, worker_id, started_at, lease_expires_at, run_deadline
    FROM item WHERE state = 'running'
), queued AS (
    INSERT INTO jobs.job_queue (tenant_id, project_id, queue, intent, rank, ready_at, job_id)
    SELECT tenant_id, project_id, queue, intent, rank, occurred_at, job_id FROM item
    WHERE state = 'queued' AND delayed_until IS NULL
), delayed AS (
    INSERT INTO jobs.job_delayed (job_id, due_at, tenant_id, project_id, queue, intent, rank)
    SELECT job_id, delayed_until, tenant_id, project_id, queue, intent, rank FROM item WHERE delayed_until IS NOT NULL
), history AS (
    INSERT INTO jobs.job_events (
        job_id, seq, tenant_id, project_id, event_id, from_state, to_state, attempt, fence, actor_id, worker_id,
        command_key, command_hash, detail, occurred_at, request_id, traceparent
    )
    SELECT
        job_id, seq, tenant_id, project_id, event_id, from_state, state, attempt, fence, actor_id, history_worker_id,
        command_key, command_hash, detail, occurred_at, request_id, traceparent
    FROM item
), event AS (
    INSERT INTO jobs.outbox (
        slot, outbox_id, shard, tenant_id, project_id, ordering_key, key_seq, event_name, event_payload, traceparent, created_at
    )
    SELECT
        ring.slot, event_id, shard, tenant_id, project_id, job_id::text, seq, 'job.' || state, event_payload, traceparent, occurred_at
    FROM (SELECT slot FROM jobs.outbox_ring WHERE is_current) AS ring, item
), slots AS (
    UPDATE jobs.project_slots AS slots SET
        running = slots.running + change.running,
        dequeued = slots.dequeued + change.dequeued,
        infra_dequeued = slots.infra_dequeued + change.infra_dequeued
    FROM (
        SELECT
            tenant_id, project_id,
            sum((state = 'running')::int4 - (from_state = 'running')::int4)::int4 AS running,
            (sum(was_ahead::int4 - is_ahead::int4) FILTER (WHERE queue = 'project')) AS dequeued,
            (sum(was_ahead::int4 - is_ahead::int4) FILTER (WHERE queue = 'infra')) AS infra_dequeued
        FROM item
        -- Work that is still ahead counts into the depth of its queue, whether it waits for a worker, for people or for other jobs.
        CROSS JOIN LATERAL (
            SELECT
                from_state IN ('queued', 'blocked', 'waiting_human_decision', 'changes_requested', 'deferred') AS was_ahead,
                state IN ('queued', 'blocked', 'waiting_human_decision', 'changes_requested', 'deferred') AS is_ahead
        ) AS ahead
        GROUP BY tenant_id, project_id ORDER BY tenant_id, project_id
    ) AS raw
    CROSS JOIN LATERAL (
        SELECT raw.running, coalesce(raw.dequeued, 0) AS dequeued, coalesce(raw.infra_dequeued, 0) AS infra_dequeued
    ) AS change
    WHERE slots.tenant_id = raw.tenant_id AND slots.project_id = raw.project_id
)
SELECT job_id, payload AS "payload?", payload_content_type AS "payload_content_type?" FROM moved
