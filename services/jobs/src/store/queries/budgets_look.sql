-- Counts as they are now, by their keys.
SELECT item.ordinal AS "ordinal!", counted.tokens AS "tokens!", counted.cost_micro_usd AS "cost_micro_usd!"
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) WITH ORDINALITY
    AS item (tenant_id, scope, scope_id, period_start, ordinal)
JOIN jobs.budget_usage AS counted
    ON counted.tenant_id = item.tenant_id AND counted.scope = item.scope AND counted.scope_id = item.scope_id
    AND counted.period_start = item.period_start
