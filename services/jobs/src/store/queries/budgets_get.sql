-- How budgets stand now, and the time: nothing but the time where nothing was counted in the period that it is.
SELECT
    item.ordinal AS "ordinal!", statement_timestamp() AS "now!", counted.period_start AS "period_start?",
    counted.period_end AS "period_end?", counted.tokens AS "tokens?", counted.cost_micro_usd AS "cost_micro_usd?"
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS item (tenant_id, scope, scope_id, ordinal)
LEFT JOIN LATERAL (
    SELECT counted.period_start, counted.period_end, counted.tokens, counted.cost_micro_usd FROM jobs.budget_usage AS counted
    WHERE counted.tenant_id = item.tenant_id AND counted.scope = item.scope AND counted.scope_id = item.scope_id
        AND counted.period_start <= statement_timestamp()
    ORDER BY counted.period_start DESC LIMIT 1
) AS counted ON counted.period_end > statement_timestamp()
