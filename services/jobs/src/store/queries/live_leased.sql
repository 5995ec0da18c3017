-- A page of the jobs that run, of all tenants, in the order of the key; whose those of some tenants are.
SELECT
    page.job_id, page.tenant_id, page.project_id, 0::int2 AS "rank!", NULL::timestamptz AS "queued_since?", NULL::timestamptz AS "due_at?",
    job.actor_id AS "actor_id?", job.seq AS "seq?"
FROM (
    SELECT lease.job_id, lease.tenant_id, lease.project_id FROM jobs.job_leases AS lease
    WHERE lease.job_id > $2
    ORDER BY lease.job_id
    LIMIT $3
) AS page
LEFT JOIN jobs.jobs AS job
    ON job.job_id = page.job_id AND job.tenant_id = page.tenant_id AND page.tenant_id = ANY ($1::text[])
ORDER BY page.job_id
