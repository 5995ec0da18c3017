-- Which of the jobs are there, and in which project.
SELECT job.job_id, job.project_id
FROM unnest($1::uuid[], $2::text[]) AS item (job_id, tenant_id)
JOIN jobs.jobs AS job ON job.job_id = item.job_id AND job.tenant_id = item.tenant_id
