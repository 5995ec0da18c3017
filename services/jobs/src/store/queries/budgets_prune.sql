-- Sums of periods that ended long ago, and that nobody counts into any more; the oldest first.
DELETE FROM jobs.budget_usage AS counted
USING (
    SELECT old.tenant_id, old.scope, old.scope_id, old.period_start FROM jobs.budget_usage AS old
    WHERE old.period_end <= statement_timestamp() - $1::int8 * interval '1 second'
    ORDER BY old.period_end LIMIT $2
    FOR UPDATE SKIP LOCKED
) AS old
WHERE counted.tenant_id = old.tenant_id AND counted.scope = old.scope AND counted.scope_id = old.scope_id
    AND counted.period_start = old.period_start
