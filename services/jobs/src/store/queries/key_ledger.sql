-- The ledger row of a head, and the database's clock; read after the head's lock.
SELECT ledger.outcome, ledger.outcome_content_type, ledger.first_seen_at, ledger.last_seen_at, clock_timestamp() AS "now!"
FROM jobs.idempotency_ledger AS ledger
WHERE ledger.ledger_id = $1 AND ledger.tenant_id = $2
