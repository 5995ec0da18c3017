-- Live jobs that do not stand where their state says, once; and places of jobs that are not live, or not there, among them the
-- time of people for jobs that have ended.
WITH place AS (
    SELECT job_id, 'ready' AS stands FROM jobs.job_queue
    UNION ALL
    SELECT job_id, 'ready' FROM jobs.job_delayed
    UNION ALL
    SELECT job_id, 'held' FROM jobs.job_leases
), live AS (
    SELECT job_id, CASE state WHEN 'running' THEN 'held' ELSE 'ready' END AS stands
    FROM jobs.jobs WHERE state IN ('queued', 'retrying', 'running')
)
SELECT job_id
FROM live FULL JOIN place USING (job_id)
GROUP BY job_id, live.stands
HAVING NOT coalesce(count(place.stands) = 1 AND min(place.stands) = live.stands, false)
UNION
SELECT wait.job_id
FROM jobs.job_waits AS wait LEFT JOIN jobs.jobs AS job USING (job_id)
WHERE job.job_id IS NULL OR job.finished_at IS NOT NULL
ORDER BY job_id
