-- Jobs that wait for a worker, or for other jobs, or are held, and are as old as a job may become, locked. Counted from when each
-- could first have run.
WITH waiting AS (
    SELECT job_id, tenant_id FROM jobs.job_queue
    UNION ALL
    SELECT job_id, tenant_id FROM jobs.job_delayed
    UNION ALL
    SELECT DISTINCT job_id, tenant_id FROM jobs.job_dependencies
    UNION ALL
    SELECT DISTINCT job_id, tenant_id FROM jobs.job_holds
)
SELECT job.job_id, job.tenant_id
FROM waiting
JOIN jobs.jobs AS job ON job.job_id = waiting.job_id AND job.tenant_id = waiting.tenant_id
WHERE waiting.job_id < jobs.uuid7_floor(statement_timestamp() - $1::int8 * interval '1 millisecond')
    AND greatest(job.created_at, job.run_after) <= statement_timestamp() - $1::int8 * interval '1 millisecond'
    AND job.state IN ('queued', 'retrying', 'blocked')
LIMIT $2
FOR NO KEY UPDATE OF job SKIP LOCKED
