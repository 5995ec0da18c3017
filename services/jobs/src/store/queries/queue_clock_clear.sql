-- Looks at some rows of the clock of the queue, behind the one given, and takes those away whose jobs have ended. Waits for nobody:
-- what somebody counts at this moment is cleared when the look comes round again.
WITH page AS MATERIALIZED (
    SELECT clock.job_id, clock.tenant_id FROM jobs.job_queue_clock AS clock WHERE clock.job_id > $1 ORDER BY clock.job_id LIMIT $2
), ended AS MATERIALIZED (
    SELECT page.job_id, page.tenant_id
    FROM page
    CROSS JOIN LATERAL (
        SELECT FROM jobs.job_queue_clock AS clock WHERE clock.job_id = page.job_id AND clock.tenant_id = page.tenant_id
        FOR UPDATE SKIP LOCKED
    ) AS held
    WHERE (
        SELECT job.job_id FROM jobs.jobs AS job
        WHERE job.job_id = page.job_id AND job.tenant_id = page.tenant_id AND job.finished_at IS NULL LIMIT 1
    ) IS NULL
), cleared AS (
    DELETE FROM jobs.job_queue_clock AS clock USING ended
    WHERE clock.job_id = ended.job_id AND clock.tenant_id = ended.tenant_id
    RETURNING clock.job_id
)
SELECT
    (SELECT count(*) FROM page) AS "seen!", (SELECT count(*) FROM cleared) AS "cleared!",
    (SELECT page.job_id FROM page ORDER BY page.job_id DESC LIMIT 1) AS last
