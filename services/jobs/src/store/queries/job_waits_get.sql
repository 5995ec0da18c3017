SELECT wait.job_id, wait.budget_ms, wait.spent_ms, wait.ends_at, wait.since, wait.due_at
FROM unnest($1::uuid[], $2::text[]) AS item (job_id, tenant_id)
JOIN jobs.job_waits AS wait ON wait.job_id = item.job_id AND wait.tenant_id = item.tenant_id
