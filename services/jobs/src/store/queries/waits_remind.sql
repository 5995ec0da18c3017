-- Takes the reminders that are due, one a job however many were missed, and answers what they say.
WITH due AS (
    SELECT wait.job_id, clock_timestamp() AS now FROM jobs.job_waits AS wait
    WHERE wait.reminds AND wait.due_at > statement_timestamp()
        AND coalesce(wait.reminded_at, wait.since) <= clock_timestamp() - $1::int8 * interval '1 millisecond'
    LIMIT $2
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE jobs.job_waits AS wait SET reminders = wait.reminders + 1, reminded_at = due.now
FROM due, jobs.jobs AS job
WHERE wait.job_id = due.job_id AND job.job_id = wait.job_id AND job.tenant_id = wait.tenant_id
RETURNING
    wait.job_id, wait.tenant_id, wait.project_id, job.intent, job.queue, job.request_id, job.traceparent, job.idempotency_key,
    wait.since AS "since!", wait.due_at AS "due_at!", wait.reminders, due.now AS "now!"
