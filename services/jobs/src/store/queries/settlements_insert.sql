INSERT INTO jobs.job_settlements (settlement_id, job_id, tenant_id, after_job_id)
SELECT settlement_id, job_id, tenant_id, '00000000-0000-0000-0000-000000000000'
FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS item (settlement_id, job_id, tenant_id)
