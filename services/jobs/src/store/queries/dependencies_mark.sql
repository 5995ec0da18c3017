-- Marks locked jobs as awaited.
UPDATE jobs.jobs AS job SET awaited = true
FROM unnest($1::uuid[], $2::text[]) AS item (job_id, tenant_id)
WHERE job.job_id = item.job_id AND job.tenant_id = item.tenant_id AND NOT job.awaited
