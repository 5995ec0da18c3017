INSERT INTO jobs.job_dependencies (job_id, depends_on, tenant_id, on_failure)
SELECT job_id, depends_on, tenant_id, on_failure
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) AS item (job_id, depends_on, tenant_id, on_failure)
