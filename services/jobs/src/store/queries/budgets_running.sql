-- The counts of periods that are not over, page by page.
SELECT tenant_id, scope, scope_id, period_start, period_end, tokens, cost_micro_usd, sweep_at IS NOT NULL AS "is_marked!"
FROM jobs.budget_usage
WHERE period_end > statement_timestamp() AND (period_end, tenant_id, scope, scope_id) > ($1::timestamptz, $2::text, $3::text, $4::text)
ORDER BY period_end, tenant_id, scope, scope_id
LIMIT $5
