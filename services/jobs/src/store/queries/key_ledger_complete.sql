UPDATE jobs.idempotency_ledger AS ledger SET
    outcome = $3, outcome_content_type = $4, completed_at = $5, last_seen_at = greatest(ledger.last_seen_at, $5)
WHERE ledger.ledger_id = $1 AND ledger.tenant_id = $2
