-- Exceeded budgets whose jobs are to be looked for now, those that waited longest first; with those whose period is over, so that
-- they are let go.
SELECT
    counted.tenant_id, counted.scope, counted.scope_id, counted.period_start, counted.period_end, counted.tokens,
    counted.cost_micro_usd, statement_timestamp() AS "now!"
FROM jobs.budget_usage AS counted
WHERE counted.sweep_at <= statement_timestamp()
ORDER BY counted.sweep_at
LIMIT $1
