-- Jobs for which the time of people is over, locked; what somebody decides about at this moment is left for the next sweep.
SELECT job.job_id, job.tenant_id
FROM jobs.job_waits AS wait
JOIN jobs.jobs AS job ON job.job_id = wait.job_id AND job.tenant_id = wait.tenant_id
WHERE wait.due_at <= statement_timestamp() AND job.finished_at IS NULL
ORDER BY wait.due_at
LIMIT $1
FOR NO KEY UPDATE OF job SKIP LOCKED
