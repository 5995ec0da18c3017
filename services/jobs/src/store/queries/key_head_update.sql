UPDATE jobs.idempotency_heads AS head SET
    generation = $6, ledger_id = $7, payload_hash = $8, window_end = $9, job_id = NULL, token = $10,
    lease_expires_at = $11, completed_at = $12
WHERE head.tenant_id = $1 AND head.project_id = $2 AND head.intent = $3 AND head.actor_id = $4 AND head.idempotency_key = $5
