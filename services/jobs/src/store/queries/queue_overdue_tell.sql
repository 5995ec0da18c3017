-- Notes of locked jobs that it is said that they are overdue; answers those of which it was not said before. In the order given,
-- which is that of job_id.
WITH untold AS MATERIALIZED (
    SELECT clock.job_id
    FROM unnest($1::uuid[], $2::text[]) AS item (job_id, tenant_id)
    CROSS JOIN LATERAL (
        SELECT clock.job_id FROM jobs.job_queue_clock AS clock
        WHERE clock.job_id = item.job_id AND clock.tenant_id = item.tenant_id AND NOT clock.told
        FOR NO KEY UPDATE
    ) AS clock
)
UPDATE jobs.job_queue_clock AS clock SET told = true
FROM untold WHERE clock.job_id = untold.job_id
RETURNING clock.job_id
