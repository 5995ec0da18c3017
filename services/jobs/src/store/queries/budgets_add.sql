-- Adds to counts. The items come in key order, and that is the order in which their rows are locked: two batches that count for
-- the same budgets wait for each other, never in a circle.
INSERT INTO jobs.budget_usage AS counted (tenant_id, scope, scope_id, period_start, period_end, tokens, cost_micro_usd, entries)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::int8[], $7::int8[], $8::int8[])
ON CONFLICT (tenant_id, scope, scope_id, period_start) DO UPDATE SET
    tokens = counted.tokens + excluded.tokens,
    cost_micro_usd = counted.cost_micro_usd + excluded.cost_micro_usd,
    entries = counted.entries + excluded.entries
RETURNING tenant_id, scope, scope_id, period_start, period_end, tokens, cost_micro_usd, sweep_at IS NOT NULL AS "is_marked!"
