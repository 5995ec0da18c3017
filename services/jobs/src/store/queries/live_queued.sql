-- A page of a tenant's queue, in the order of the key, and whose the jobs are.
SELECT
    page.job_id, page.tenant_id, page.project_id, page.rank, page.ready_at AS "queued_since?", NULL::timestamptz AS "due_at?",
    job.actor_id AS "actor_id?", job.seq AS "seq?"
FROM (
    SELECT queue.job_id, queue.tenant_id, queue.project_id, queue.rank, queue.ready_at FROM jobs.job_queue AS queue
    WHERE queue.tenant_id = $1
        AND (queue.project_id, queue.rank, queue.ready_at, queue.job_id) > ($2::text, $3::int2, $4::timestamptz, $5::uuid)
    ORDER BY queue.project_id, queue.rank, queue.ready_at, queue.job_id
    LIMIT $6
) AS page
LEFT JOIN jobs.jobs AS job ON job.job_id = page.job_id AND job.tenant_id = page.tenant_id
ORDER BY page.project_id, page.rank, page.ready_at, page.job_id
