DROP TABLE jobs.idempotency_heads, jobs.idempotency_ledger;
