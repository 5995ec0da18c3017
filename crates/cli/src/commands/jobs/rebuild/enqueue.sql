-- Ready since its latest transition.
INSERT INTO jobs.job_queue (tenant_id, project_id, queue, intent, rank, ready_at, job_id)
SELECT job.tenant_id, job.project_id, job.queue, job.intent, 9 - job.priority, event.occurred_at, job.job_id
FROM jobs.jobs AS job
JOIN jobs.job_events AS event ON event.job_id = job.job_id AND event.seq = job.seq
WHERE job.job_id = ANY ($1) AND job.state = 'queued' AND (job.run_after IS NULL OR job.run_after <= clock_timestamp())
