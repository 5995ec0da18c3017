SELECT head.generation, head.ledger_id, head.payload_hash, head.window_end, head.job_id, head.token, head.lease_expires_at, head.completed_at
FROM jobs.idempotency_heads AS head
WHERE head.tenant_id = $1 AND head.project_id = $2 AND head.intent = $3 AND head.actor_id = $4 AND head.idempotency_key = $5
FOR NO KEY UPDATE
