SELECT
    number, approval_id, decision, reason, actor_id, role, corrects, command_key, command_hash, decided_at, request_id, traceparent
FROM jobs.approvals
WHERE job_id = $1 AND tenant_id = ANY ($2::text[])
ORDER BY number
