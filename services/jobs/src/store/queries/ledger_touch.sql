-- In one order: two batches may touch the same rows.
UPDATE jobs.idempotency_ledger AS ledger SET last_seen_at = greatest(ledger.last_seen_at, clock_timestamp())
FROM (
    SELECT DISTINCT ledger_id, tenant_id FROM unnest($1::uuid[], $2::text[]) AS raw (ledger_id, tenant_id) ORDER BY ledger_id
) AS item
WHERE ledger.ledger_id = item.ledger_id AND ledger.tenant_id = item.tenant_id
