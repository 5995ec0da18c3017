-- Locked jobs as they are now, with the lease of those that run. A statement of its own after the lock: its snapshot
-- sees what the lock waited for, and its clock is not earlier than any change it sees.
SELECT
    job.job_id, job.tenant_id, job.project_id, job.intent, job.queue, job.tier, job.priority, job.state, job.seq,
    job.actor_id, job.idempotency_key, job.max_attempts, job.run_budget_ms, job.attempt, job.fence, job.run_ms,
    job.failure_code, job.failure_message, job.failed_at, job.retry_since, job.next_attempt_at, job.timed_out_clock,
    job.run_after, job.resubmits, job.parent_job_id, job.depth, job.classification, job.residency, job.awaited, job.total_budget_ms, job.backoff_ms,
    job.created_at, job.started_at, job.finished_at, job.request_id, job.traceparent,
    lease.lease_id AS "lease_id?", lease.worker_id AS "worker_id?", lease.fence AS "lease_fence?",
    lease.leased_at AS "leased_at?", lease.expires_at AS "expires_at?", lease.run_deadline AS "run_deadline?",
    octet_length(job.payload) AS "payload_bytes!", clock_timestamp() AS "now!"
FROM unnest($1::uuid[], $2::text[]) AS item (job_id, tenant_id)
JOIN jobs.jobs AS job ON job.job_id = item.job_id AND job.tenant_id = item.tenant_id
LEFT JOIN jobs.job_leases AS lease ON lease.job_id = job.job_id AND lease.tenant_id = job.tenant_id
