-- Moves jobs whose time has come to where the claim finds them. Their jobs are locked first: whoever moves one at this moment
-- would otherwise look for it where it no longer is.
WITH due AS MATERIALIZED (
    SELECT delayed.job_id
    FROM jobs.job_delayed AS delayed
    JOIN jobs.jobs AS job ON job.job_id = delayed.job_id AND job.tenant_id = delayed.tenant_id
    WHERE delayed.due_at <= statement_timestamp() AND job.state IN ('queued', 'retrying')
    ORDER BY delayed.due_at
    LIMIT $1
    FOR NO KEY UPDATE OF job SKIP LOCKED
), promoted AS (
    DELETE FROM jobs.job_delayed AS delayed USING due WHERE delayed.job_id = due.job_id AND delayed.due_at <= clock_timestamp()
    RETURNING delayed.job_id, delayed.due_at, delayed.tenant_id, delayed.project_id, delayed.queue, delayed.intent, delayed.rank
)
INSERT INTO jobs.job_queue (tenant_id, project_id, queue, intent, rank, ready_at, job_id)
SELECT tenant_id, project_id, queue, intent, rank, due_at, job_id FROM promoted
