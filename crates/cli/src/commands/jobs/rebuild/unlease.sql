-- A lease that holds stays: its holder goes on.
DELETE FROM jobs.job_leases AS lease
WHERE lease.job_id = ANY ($1) AND NOT EXISTS (
    SELECT FROM jobs.jobs AS job
    WHERE job.job_id = lease.job_id AND job.state = 'running' AND job.lease_id = lease.lease_id
)
