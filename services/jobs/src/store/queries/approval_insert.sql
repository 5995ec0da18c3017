INSERT INTO jobs.approvals (
    job_id, number, approval_id, tenant_id, project_id, decision, reason, actor_id, role, corrects, command_key, command_hash,
    decided_at, request_id, traceparent
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
