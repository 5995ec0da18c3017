-- The keys under which the history keeps hashes of what was written about sensitive jobs.
SELECT job.job_id, job.hash_key AS "hash_key!"
FROM unnest($1::uuid[], $2::text[]) AS item (job_id, tenant_id)
JOIN jobs.jobs AS job ON job.job_id = item.job_id AND job.tenant_id = item.tenant_id
WHERE job.hash_key IS NOT NULL
