-- The counts of periods that are not over which were once found over their limit, page by page.
SELECT tenant_id, scope, scope_id, period_start, period_end, tokens, cost_micro_usd FROM jobs.budget_usage
WHERE breached_at IS NOT NULL AND period_end > statement_timestamp()
    AND (period_end, tenant_id, scope, scope_id) > ($1::timestamptz, $2::text, $3::text, $4::text)
ORDER BY period_end, tenant_id, scope, scope_id
LIMIT $5
