-- Locks the jobs that new ones wait for, in the order of their ids as everywhere, and answers how they stand: whoever ends one
-- of them does so before, and is seen here, or after, and sees the mark that dependencies_mark.sql sets.
SELECT job.job_id, job.tenant_id, job.state
FROM (SELECT DISTINCT job_id, tenant_id FROM unnest($1::uuid[], $2::text[]) AS raw (job_id, tenant_id) ORDER BY job_id) AS item
CROSS JOIN LATERAL (
    SELECT job.job_id, job.tenant_id, job.state FROM jobs.jobs AS job
    WHERE job.job_id = item.job_id AND job.tenant_id = item.tenant_id
    FOR NO KEY UPDATE
) AS job
