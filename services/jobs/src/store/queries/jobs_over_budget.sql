-- Jobs that draw on budgets which are exceeded and that would run, or go on running, before those reset; locked, and what
-- somebody else holds is left for the next sweep. A job that draws on two of them comes twice.
SELECT job.job_id, job.tenant_id, item.ordinal AS "ordinal!"
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) WITH ORDINALITY
    AS item (tenant_id, scope, scope_id, resets_at, ordinal)
CROSS JOIN LATERAL (
    SELECT queue.job_id, queue.project_id FROM jobs.job_queue AS queue WHERE queue.tenant_id = item.tenant_id
    UNION ALL
    SELECT lease.job_id, lease.project_id FROM jobs.job_leases AS lease WHERE lease.tenant_id = item.tenant_id
    UNION ALL
    SELECT delayed.job_id, delayed.project_id FROM jobs.job_delayed AS delayed
    WHERE delayed.tenant_id = item.tenant_id AND delayed.due_at < item.resets_at
) AS live
JOIN jobs.jobs AS job ON job.job_id = live.job_id AND job.tenant_id = item.tenant_id
WHERE (item.scope <> 'project' OR live.project_id = item.scope_id) AND (item.scope <> 'user' OR job.actor_id = item.scope_id)
    AND job.state IN ('queued', 'running', 'retrying')
LIMIT $5
FOR NO KEY UPDATE OF job SKIP LOCKED
