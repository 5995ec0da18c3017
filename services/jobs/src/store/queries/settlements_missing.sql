-- Says of awaited jobs that have ended, and of which nobody has said so, that they have: a version that knows no dependencies
-- may have ended them. Each job is looked up by itself: a join could be planned as a scan of all jobs.
INSERT INTO jobs.job_settlements (settlement_id, job_id, tenant_id, after_job_id)
SELECT gen_random_uuid(), ended.job_id, ended.tenant_id, '00000000-0000-0000-0000-000000000000'
FROM (
    SELECT DISTINCT job.job_id, job.tenant_id
    FROM jobs.job_dependencies AS open
    CROSS JOIN LATERAL (
        SELECT job.job_id, job.tenant_id, job.state, job.finished_at FROM jobs.jobs AS job
        WHERE job.job_id = open.depends_on AND job.tenant_id = open.tenant_id
        LIMIT 1
    ) AS job
    WHERE job.finished_at IS NOT NULL AND NOT (open.on_failure = 'block' AND job.state <> 'done')
        AND NOT EXISTS (SELECT FROM jobs.job_settlements AS settlement WHERE settlement.job_id = job.job_id)
    LIMIT $1
) AS ended
