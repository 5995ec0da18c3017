-- The jobs that a worker could have now and that have stood there for a while ($10): of each project with room under its limit of
-- running jobs, as many of the first in the order of leasing as there is room for. Whoever stands behind them waits for its turn;
-- what waits for its time, for people or for other jobs, or is held, is not in the queue. From a project on, projects and jobs no
-- more than asked for; answers the projects that it has walked too. Nothing is locked: the count of running jobs may be a
-- moment old.
WITH RECURSIVE step AS (
    (
        SELECT first.tenant_id, first.project_id FROM jobs.job_queue AS first
        WHERE (first.tenant_id, first.project_id) > ($1::text, $2::text)
        ORDER BY first.tenant_id, first.project_id LIMIT 1
    )
    UNION ALL
    SELECT ahead.tenant_id, ahead.project_id
    FROM step
    CROSS JOIN LATERAL (
        SELECT next.tenant_id, next.project_id FROM jobs.job_queue AS next
        WHERE (next.tenant_id, next.project_id) > (step.tenant_id, step.project_id)
        ORDER BY next.tenant_id, next.project_id LIMIT 1
    ) AS ahead
), walked AS MATERIALIZED (
    SELECT tenant_id, project_id FROM step LIMIT $7::int8
), head AS MATERIALIZED (
    SELECT walked.tenant_id, walked.project_id, queue.job_id, queue.intent, queue.ready_at, job.tier
    FROM walked
    CROSS JOIN LATERAL (
        SELECT limits.running_max - slots.running AS room
        FROM jobs.project_slots AS slots
        CROSS JOIN LATERAL (
            SELECT coalesce(slots.running_max, (
                SELECT own.running_max FROM unnest($4::text[], $5::text[], $6::int4[]) AS own (tenant_id, project_id, running_max)
                WHERE own.tenant_id = slots.tenant_id AND own.project_id = slots.project_id
            ), $3::int4) AS running_max
        ) AS limits
        WHERE slots.tenant_id = walked.tenant_id AND slots.project_id = walked.project_id AND slots.running < limits.running_max
        -- Keeps it a look-up by the key: as a join it would be planned as a scan of all slots.
        LIMIT 1
    ) AS slots
    CROSS JOIN LATERAL (
        SELECT queue.job_id, queue.intent, queue.ready_at FROM jobs.job_queue AS queue
        WHERE queue.tenant_id = walked.tenant_id AND queue.project_id = walked.project_id
        ORDER BY queue.rank, queue.ready_at, queue.job_id
        LIMIT least(slots.room, $8::int8)
    ) AS queue
    CROSS JOIN LATERAL (
        SELECT job.tier FROM jobs.jobs AS job
        -- The project too: whichever index is taken then finds it by its whole key.
        WHERE job.job_id = queue.job_id AND job.tenant_id = walked.tenant_id AND job.project_id = walked.project_id
            AND job.state IN ('queued', 'retrying')
        LIMIT 1
    ) AS job
    WHERE queue.ready_at <= statement_timestamp() - $10::int8 * interval '1 millisecond'
    LIMIT $9::int8
)
SELECT
    walked.tenant_id AS "tenant_id!", walked.project_id AS "project_id!", head.job_id AS "job_id?", head.intent AS "intent?",
    head.tier AS "tier?", head.ready_at AS "ready_at?", statement_timestamp() AS "now!"
FROM walked
LEFT JOIN head ON head.tenant_id = walked.tenant_id AND head.project_id = walked.project_id
