-- The next dependents of each job that has ended, in the order of their ids.
SELECT item.settlement_id AS "settlement_id!", dependent.job_id, dependent.tenant_id
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[]) AS item (settlement_id, job_id, tenant_id, after_job_id)
CROSS JOIN LATERAL (
    SELECT open.job_id, open.tenant_id FROM jobs.job_dependencies AS open
    WHERE open.depends_on = item.job_id AND open.tenant_id = item.tenant_id AND open.job_id > item.after_job_id
    ORDER BY open.job_id
    LIMIT $5
) AS dependent
