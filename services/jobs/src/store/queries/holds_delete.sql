DELETE FROM jobs.job_holds AS hold
USING unnest($1::uuid[], $2::text[]) AS item (job_id, tenant_id)
WHERE hold.job_id = item.job_id AND hold.tenant_id = item.tenant_id
