DELETE FROM jobs.job_dependencies AS open
USING unnest($1::uuid[], $2::text[]) AS item (job_id, tenant_id)
WHERE open.job_id = item.job_id AND open.tenant_id = item.tenant_id
