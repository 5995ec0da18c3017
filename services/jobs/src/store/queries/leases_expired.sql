-- Leases that ran out, locked with their jobs; what somebody else holds is left for the next sweep. The job first, as
-- everywhere: a lease locked for a job that is then passed over would stay locked, in the way of whoever holds the job.
WITH expired AS MATERIALIZED (
    SELECT job.job_id, job.tenant_id
    FROM jobs.job_leases AS lease
    JOIN jobs.jobs AS job ON job.job_id = lease.job_id AND job.tenant_id = lease.tenant_id
    WHERE lease.expires_at <= clock_timestamp()
    LIMIT $1
    FOR NO KEY UPDATE OF job SKIP LOCKED
)
SELECT expired.job_id, expired.tenant_id
FROM expired
CROSS JOIN LATERAL (
    SELECT FROM jobs.job_leases AS lease
    WHERE lease.job_id = expired.job_id AND lease.tenant_id = expired.tenant_id AND lease.expires_at <= clock_timestamp()
    FOR NO KEY UPDATE SKIP LOCKED
) AS lease
