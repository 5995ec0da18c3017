-- A lease of which nothing is left has run out: nobody renewed it meanwhile, and the sweep tries the job again.
INSERT INTO jobs.job_leases (job_id, lease_id, tenant_id, project_id, fence, worker_id, leased_at, expires_at, run_deadline)
SELECT
    job.job_id, job.lease_id, job.tenant_id, job.project_id, job.fence, job.worker_id, event.occurred_at, clock_timestamp(),
    greatest(
        clock_timestamp() + interval '1 second',
        event.occurred_at + make_interval(secs => greatest(job.run_budget_ms - job.run_ms, 1) / 1000.0)
    )
FROM jobs.jobs AS job
JOIN jobs.job_events AS event ON event.job_id = job.job_id AND event.seq = job.seq
WHERE job.job_id = ANY ($1) AND job.state = 'running'
ON CONFLICT (job_id) DO NOTHING
