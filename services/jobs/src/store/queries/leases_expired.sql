-- Leases that ran out, locked with their jobs; what somebody else holds is left for the next sweep.
SELECT job.job_id, job.tenant_id
FROM jobs.job_leases AS lease
JOIN jobs.jobs AS job ON job.job_id = lease.job_id AND job.tenant_id = lease.tenant_id
WHERE lease.expires_at <= clock_timestamp()
LIMIT $1
FOR NO KEY UPDATE OF lease, job SKIP LOCKED
