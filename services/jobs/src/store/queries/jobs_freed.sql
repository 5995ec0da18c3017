-- Jobs with a hold that is no longer in force, locked; what somebody else moves at this moment is left for the next round. Each
-- job is looked up by itself: a join could be planned as a scan of all jobs.
WITH freed AS MATERIALIZED (
    SELECT DISTINCT hold.job_id, hold.tenant_id FROM jobs.job_holds AS hold
    WHERE NOT EXISTS (
        SELECT FROM unnest($1::text[], $2::text[]) AS in_force (held_by, of_tenant)
        WHERE in_force.held_by = hold.held_by AND in_force.of_tenant = hold.of_tenant
    )
)
SELECT job.job_id, job.tenant_id
FROM freed
CROSS JOIN LATERAL (
    SELECT job.job_id, job.tenant_id FROM jobs.jobs AS job
    WHERE job.job_id = freed.job_id AND job.tenant_id = freed.tenant_id
    FOR NO KEY UPDATE SKIP LOCKED
) AS job
LIMIT $3
