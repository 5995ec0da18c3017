-- What waits for its time; the task that promotes it finds what is due.
INSERT INTO jobs.job_delayed (job_id, due_at, tenant_id, project_id, queue, intent, rank)
SELECT
    job.job_id, coalesce(job.next_attempt_at, job.run_after), job.tenant_id, job.project_id, job.queue, job.intent,
    9 - job.priority
FROM jobs.jobs AS job
WHERE job.job_id = ANY ($1) AND (job.state = 'retrying' OR (job.state = 'queued' AND job.run_after > clock_timestamp()))
