-- Jobs whose clock of the queue has run out, locked; what somebody else moves at this moment is left for the next look.
SELECT job.job_id, job.tenant_id
FROM unnest($1::uuid[], $2::text[]) AS item (job_id, tenant_id)
CROSS JOIN LATERAL (
    SELECT job.job_id, job.tenant_id FROM jobs.jobs AS job
    WHERE job.job_id = item.job_id AND job.tenant_id = item.tenant_id AND job.state IN ('queued', 'retrying')
    FOR NO KEY UPDATE SKIP LOCKED
) AS job
