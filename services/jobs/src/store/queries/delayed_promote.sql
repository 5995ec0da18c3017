-- Moves jobs whose time has come to where the claim finds them.
WITH due AS (
    DELETE FROM jobs.job_delayed WHERE job_id IN (
        SELECT job_id FROM jobs.job_delayed WHERE due_at <= clock_timestamp() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
    )
    RETURNING job_id, due_at, tenant_id, project_id, queue, intent, rank
)
INSERT INTO jobs.job_queue (tenant_id, project_id, queue, intent, rank, ready_at, job_id)
SELECT tenant_id, project_id, queue, intent, rank, due_at, job_id FROM due
