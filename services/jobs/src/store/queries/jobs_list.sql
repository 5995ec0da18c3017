-- One project, newest first, without payloads and results.
SELECT
    job.job_id, job.tenant_id, job.project_id, job.intent, job.queue, job.tier, job.priority, job.state, job.seq,
    job.actor_id, job.idempotency_key, job.max_attempts, job.run_budget_ms, job.attempt, job.run_ms,
    job.failure_code, job.failure_message, job.failed_at, job.next_attempt_at, job.timed_out_clock,
    -- One state of many: its history says it, and jobs has no column for it.
    CASE WHEN job.state = 'budget_exceeded' THEN (
        SELECT split_part(event.detail, ':', 1) FROM jobs.job_events AS event
        WHERE event.job_id = job.job_id AND event.seq = job.seq AND event.tenant_id = job.tenant_id
    ) END AS exceeded_budget,
    job.run_after, job.resubmits, job.parent_job_id, job.depth, job.classification, job.residency,
    -- Looked for only where there is one: most jobs never wait for people.
    CASE WHEN job.state IN ('waiting_human_decision', 'changes_requested', 'deferred') THEN (
        SELECT wait.due_at FROM jobs.job_waits AS wait WHERE wait.job_id = job.job_id AND wait.tenant_id = job.tenant_id
    ) END AS decide_by,
    job.depends_on, job.on_dependency_failure,
    CASE WHEN job.state = 'blocked' THEN ARRAY(
        SELECT open.depends_on FROM jobs.job_dependencies AS open
        LEFT JOIN jobs.jobs AS other ON other.job_id = open.depends_on AND other.tenant_id = open.tenant_id
        WHERE open.job_id = job.job_id AND open.tenant_id = job.tenant_id
            AND other.state IS DISTINCT FROM 'done' AND NOT (open.on_failure = 'run' AND other.finished_at IS NOT NULL)
        ORDER BY open.depends_on
    ) END AS blocked_by,
    CASE WHEN job.state = 'blocked' THEN ARRAY(
        SELECT DISTINCT hold.held_by FROM jobs.job_holds AS hold
        WHERE hold.job_id = job.job_id AND hold.tenant_id = job.tenant_id ORDER BY hold.held_by
    ) END AS held_by,
    NULL::int8 AS queue_waited_ms,
    job.created_at, job.started_at, job.finished_at, job.request_id, job.traceparent,
    NULL::bytea AS "payload?", job.payload_content_type, NULL::bytea AS result, NULL::text AS result_content_type,
    lease.worker_id AS "worker_id?", lease.expires_at AS "lease_expires_at?",
    lease.progress_percent AS "progress_percent?", lease.progress_note AS "progress_note?",
    0::int8 AS "ordinal!"
FROM jobs.jobs AS job
LEFT JOIN jobs.job_leases AS lease ON lease.job_id = job.job_id AND lease.tenant_id = job.tenant_id
WHERE job.tenant_id = $1 AND job.project_id = $2
    AND (cardinality($3::text[]) = 0 OR job.state = ANY ($3::text[]))
    AND ($4::text IS NULL OR job.intent = $4)
    AND job.job_id < $5
ORDER BY job.job_id DESC
LIMIT $6
