-- Which of the jobs are there, and in which project.
SELECT job.job_id, job.project_id
FROM jobs.jobs AS job
WHERE job.job_id = ANY ($1::uuid[]) AND job.tenant_id = $2
