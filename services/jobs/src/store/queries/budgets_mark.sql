-- Marks a count that was found to be over its limit, for whoever looks for those alone; the jobs that draw on it are to be looked
-- for at once.
UPDATE jobs.budget_usage AS counted SET breached_at = clock_timestamp(), sweep_at = clock_timestamp()
WHERE counted.tenant_id = $1 AND counted.scope = $2 AND counted.scope_id = $3 AND counted.period_start = $4
    AND counted.sweep_at IS NULL
