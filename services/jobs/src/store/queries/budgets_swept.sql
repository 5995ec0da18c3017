-- Budgets whose jobs were looked for, in key order: that is the order in which their rows are locked. The next look comes when as
-- much time has passed again as the budget has been exceeded for, 5 minutes at most: what slipped in late is found about as
-- late again. One that is not exceeded is let go, unless something was counted meanwhile that nobody has looked at.
WITH locked AS MATERIALIZED (
    SELECT item.*
    FROM (
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::int8[], $6::int8[], $7::bool[]) WITH ORDINALITY
            AS raw (tenant_id, scope, scope_id, period_start, tokens, cost_micro_usd, is_exceeded, ordinal)
        ORDER BY raw.ordinal
    ) AS item
    CROSS JOIN LATERAL (
        SELECT FROM jobs.budget_usage AS counted
        WHERE counted.tenant_id = item.tenant_id AND counted.scope = item.scope AND counted.scope_id = item.scope_id
            AND counted.period_start = item.period_start
        FOR NO KEY UPDATE
    ) AS counted
)
UPDATE jobs.budget_usage AS counted
SET sweep_at = CASE WHEN locked.is_exceeded THEN $8::timestamptz + least($8 - counted.breached_at, interval '5 minutes') END
FROM locked
WHERE counted.tenant_id = locked.tenant_id AND counted.scope = locked.scope AND counted.scope_id = locked.scope_id
    AND counted.period_start = locked.period_start
    AND (locked.is_exceeded OR counted.tokens = locked.tokens AND counted.cost_micro_usd = locked.cost_micro_usd)
