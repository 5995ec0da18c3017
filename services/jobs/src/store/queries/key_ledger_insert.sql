INSERT INTO jobs.idempotency_ledger (
    ledger_id, tenant_id, idempotency_key, project_id, intent, actor_id, generation, window_start, window_end,
    payload_hash, first_seen_at, last_seen_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $8, $8)
