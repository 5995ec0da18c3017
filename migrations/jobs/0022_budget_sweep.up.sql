-- When jobs that draw on an exceeded budget are looked for next. The sweep looks at all that lives of a tenant, so it has to
-- know which budgets that was done for: at once when a budget is found over its limit, then ever less often, for what
-- slipped in. NULL where nothing is to be looked for: the budget is within its limit, or its period is over.
--
-- What older instances mark meanwhile has no time yet; the comparison with the counters gives it one.
ALTER TABLE jobs.budget_usage ADD COLUMN sweep_at timestamptz;
-- Neither covers a column that counting changes: counting stays heap-only.
CREATE INDEX budget_usage_to_sweep ON jobs.budget_usage (sweep_at) WHERE sweep_at IS NOT NULL;
-- Marked budgets page by page: a month's would otherwise come after all days', or never.
CREATE INDEX budget_usage_breached_by_key ON jobs.budget_usage (period_end, tenant_id, scope, scope_id) WHERE breached_at IS NOT NULL;
DROP INDEX jobs.budget_usage_breached;

-- What lets jobs go on looks whether they have used up their own budget while they waited.
CREATE POLICY background ON jobs.job_usage FOR SELECT TO holdfast_jobs_task USING (true);
GRANT SELECT ON jobs.job_usage TO holdfast_jobs_task;
