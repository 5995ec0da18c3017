-- The same of the time that people have. Whatever ends a job takes its row away in the same transaction, so there is none to be
-- found; but one that there was all the same would be locked and passed over by every sweep of what is due, for good.
WITH page AS MATERIALIZED (
    SELECT wait.job_id, wait.tenant_id FROM jobs.job_waits AS wait WHERE wait.job_id > $1 ORDER BY wait.job_id LIMIT $2
), ended AS MATERIALIZED (
    SELECT page.job_id, page.tenant_id
    FROM page
    CROSS JOIN LATERAL (
        SELECT FROM jobs.job_waits AS wait WHERE wait.job_id = page.job_id AND wait.tenant_id = page.tenant_id
        FOR UPDATE SKIP LOCKED
    ) AS held
    WHERE (
        SELECT job.job_id FROM jobs.jobs AS job
        WHERE job.job_id = page.job_id AND job.tenant_id = page.tenant_id AND job.finished_at IS NULL LIMIT 1
    ) IS NULL
), cleared AS (
    DELETE FROM jobs.job_waits AS wait USING ended
    WHERE wait.job_id = ended.job_id AND wait.tenant_id = ended.tenant_id
    RETURNING wait.job_id
)
SELECT
    (SELECT count(*) FROM page) AS "seen!", (SELECT count(*) FROM cleared) AS "cleared!",
    (SELECT page.job_id FROM page ORDER BY page.job_id DESC LIMIT 1) AS last
