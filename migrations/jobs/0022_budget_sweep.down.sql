REVOKE SELECT ON jobs.job_usage FROM holdfast_jobs_task;
DROP POLICY background ON jobs.job_usage;
CREATE INDEX budget_usage_breached ON jobs.budget_usage (period_end) WHERE breached_at IS NOT NULL;
DROP INDEX jobs.budget_usage_breached_by_key;
DROP INDEX jobs.budget_usage_to_sweep;
ALTER TABLE jobs.budget_usage DROP COLUMN sweep_at;
