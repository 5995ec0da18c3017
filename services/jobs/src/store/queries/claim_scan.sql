-- Candidates for leases, by scan: project after project in key order, the first ready jobs of each that has room under its
-- limit of running jobs. For where there is room for all of them, and nobody is chosen before anybody else.
--
-- The room is read under the lock of the project's slots row (two instances would otherwise both fill it), and slots
-- rows are locked in ascending order within a statement that never wraps round, so claims cannot wait in a circle. Jobs
-- that another transaction holds are skipped, not waited for. Projects without ready jobs cost nothing: each step of the
-- recursion is one index probe for the next project that has some.
SELECT ready.job_id, ready.tenant_id, ready.rank, ready.ready_at, project.project_id AS "project_id!"
FROM unnest($1::text[]) AS tenant (tenant_id)
CROSS JOIN LATERAL (
    WITH RECURSIVE step AS (
        SELECT (
            SELECT queue.project_id FROM jobs.job_queue AS queue
            WHERE queue.tenant_id = tenant.tenant_id AND queue.project_id > ''
            ORDER BY queue.project_id LIMIT 1
        ) AS project_id
        UNION ALL
        SELECT (
            SELECT queue.project_id FROM jobs.job_queue AS queue
            WHERE queue.tenant_id = tenant.tenant_id AND queue.project_id > step.project_id
            ORDER BY queue.project_id LIMIT 1
        )
        FROM step WHERE step.project_id IS NOT NULL
    )
    SELECT step.project_id FROM step
    WHERE step.project_id IS NOT NULL AND (cardinality($9::text[]) = 0 OR step.project_id = ANY ($9::text[]))
) AS project
CROSS JOIN LATERAL (
    SELECT limits.running_max - slots.running AS room
    FROM jobs.project_slots AS slots
    CROSS JOIN LATERAL (
        SELECT coalesce(slots.running_max, (
            SELECT own.running_max FROM unnest($5::text[], $6::text[], $7::int4[]) AS own (tenant_id, project_id, running_max)
            WHERE own.tenant_id = slots.tenant_id AND own.project_id = slots.project_id
        ), $4::int4) AS running_max
    ) AS limits
    WHERE slots.tenant_id = tenant.tenant_id AND slots.project_id = project.project_id AND slots.running < limits.running_max
    FOR NO KEY UPDATE OF slots
) AS slots
CROSS JOIN LATERAL (
    SELECT queue.job_id, queue.tenant_id, queue.rank, queue.ready_at
    FROM jobs.job_queue AS queue
    JOIN jobs.jobs AS job ON job.job_id = queue.job_id AND job.tenant_id = queue.tenant_id
    WHERE queue.tenant_id = tenant.tenant_id AND queue.project_id = project.project_id
        AND queue.queue = ANY ($2::text[]) AND (cardinality($3::text[]) = 0 OR queue.intent = ANY ($3::text[]))
        -- Rechecked on the locked row: a claim that committed since this statement began has moved it.
        AND job.state IN ('queued', 'retrying')
    ORDER BY queue.rank, queue.ready_at, queue.job_id
    LIMIT greatest(slots.room, 0)
    FOR NO KEY UPDATE OF job SKIP LOCKED
) AS ready
LIMIT $8
