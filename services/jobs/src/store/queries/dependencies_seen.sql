-- Which of the jobs are there, in which project, and how they stand.
SELECT job.job_id, job.tenant_id, job.project_id, job.state
FROM unnest($1::uuid[], $2::text[]) AS item (job_id, tenant_id)
JOIN jobs.jobs AS job ON job.job_id = item.job_id AND job.tenant_id = item.tenant_id
