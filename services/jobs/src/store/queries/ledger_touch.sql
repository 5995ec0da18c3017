UPDATE jobs.idempotency_ledger AS ledger SET last_seen_at = greatest(ledger.last_seen_at, clock_timestamp())
FROM unnest($1::uuid[], $2::text[]) AS item (ledger_id, tenant_id)
WHERE ledger.ledger_id = item.ledger_id AND ledger.tenant_id = item.tenant_id
