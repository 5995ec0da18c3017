-- Jobs that may not go on as they are, locked: those that run, or those that wait for a worker ($6). What somebody else moves at
-- this moment is left for the next round. A switch without a tenant is for all of them; tiers are held while policy is away.
-- Each job is looked up by itself: a join could be planned as a scan of all jobs.
WITH live AS (
    SELECT job_id, tenant_id FROM jobs.job_leases WHERE $6
    UNION ALL
    SELECT job_id, tenant_id FROM jobs.job_queue WHERE NOT $6
    UNION ALL
    SELECT job_id, tenant_id FROM jobs.job_delayed WHERE NOT $6
)
SELECT job.job_id, job.tenant_id
FROM live
CROSS JOIN LATERAL (
    SELECT job.job_id, job.tenant_id FROM jobs.jobs AS job
    WHERE job.job_id = live.job_id AND job.tenant_id = live.tenant_id
        AND job.state IN ('queued', 'retrying', 'running')
        AND (
            job.tier = ANY ($4::text[])
            OR EXISTS (
                SELECT FROM unnest($1::text[], $2::text[], $3::text[]) AS switch (scope, of_tenant, target)
                WHERE switch.of_tenant IN ('', job.tenant_id)
                    AND CASE switch.scope
                        WHEN 'global' THEN true
                        WHEN 'project' THEN switch.target = job.project_id
                        WHEN 'agent' THEN switch.target = job.actor_id
                        WHEN 'intent' THEN switch.target = job.intent
                    END
            )
        )
    FOR NO KEY UPDATE SKIP LOCKED
) AS job
LIMIT $5
