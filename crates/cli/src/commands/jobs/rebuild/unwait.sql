-- Who decides about a live job still has time for it.
DELETE FROM jobs.job_waits AS wait
WHERE wait.job_id = ANY ($1) AND NOT EXISTS (
    SELECT FROM jobs.jobs AS job WHERE job.job_id = wait.job_id AND job.finished_at IS NULL
)
