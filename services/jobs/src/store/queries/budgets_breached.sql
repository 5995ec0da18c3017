-- The counts of periods that are not over which were once found over their limit.
SELECT tenant_id, scope, scope_id, period_start, period_end, tokens, cost_micro_usd FROM jobs.budget_usage
WHERE breached_at IS NOT NULL AND period_end > statement_timestamp()
LIMIT $1
