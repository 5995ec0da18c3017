-- The next dependents of each job that has ended, in the order of their ids; not those that it goes on blocking, having ended
-- otherwise than done.
SELECT item.settlement_id AS "settlement_id!", dependent.job_id, dependent.tenant_id
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[]) AS item (settlement_id, job_id, tenant_id, after_job_id)
CROSS JOIN LATERAL (
    SELECT EXISTS (
        SELECT FROM jobs.jobs AS job
        WHERE job.job_id = item.job_id AND job.tenant_id = item.tenant_id AND job.state = 'done'
    ) AS is_done
    OFFSET 0
) AS ended
CROSS JOIN LATERAL (
    SELECT open.job_id, open.tenant_id FROM jobs.job_dependencies AS open
    WHERE open.depends_on = item.job_id AND open.tenant_id = item.tenant_id AND open.job_id > item.after_job_id
        AND (ended.is_done OR open.on_failure <> 'block')
    ORDER BY open.job_id
    LIMIT $5
) AS dependent
