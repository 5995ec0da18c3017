-- Candidates for leases, by choice: of each project, in key order, up to as many ready jobs of a queue as were chosen. What
-- claim_scan.sql says of locks and of what is skipped holds here too. A project may be chosen for both of its queues; its
-- room comes back with each of its jobs, and is for both together.
SELECT ready.job_id, ready.tenant_id, ready.ready_at, chosen.project_id AS "project_id!", chosen.queue AS "queue!", slots.room AS "room!"
FROM unnest($1::text[], $2::text[], $3::text[], $4::int8[]) AS chosen (tenant_id, project_id, queue, jobs)
CROSS JOIN LATERAL (
    SELECT limits.running_max - slots.running AS room
    FROM jobs.project_slots AS slots
    CROSS JOIN LATERAL (
        SELECT coalesce(slots.running_max, (
            SELECT own.running_max FROM unnest($7::text[], $8::text[], $9::int4[]) AS own (tenant_id, project_id, running_max)
            WHERE own.tenant_id = slots.tenant_id AND own.project_id = slots.project_id
        ), $6::int4) AS running_max
    ) AS limits
    WHERE slots.tenant_id = chosen.tenant_id AND slots.project_id = chosen.project_id AND slots.running < limits.running_max
    FOR NO KEY UPDATE OF slots
) AS slots
CROSS JOIN LATERAL (
    SELECT queue.job_id, queue.tenant_id, queue.ready_at
    FROM jobs.job_queue AS queue
    JOIN jobs.jobs AS job ON job.job_id = queue.job_id AND job.tenant_id = queue.tenant_id
    WHERE queue.tenant_id = chosen.tenant_id AND queue.project_id = chosen.project_id
        AND queue.queue = chosen.queue AND (cardinality($5::text[]) = 0 OR queue.intent = ANY ($5::text[]))
        AND job.state IN ('queued', 'retrying')
    ORDER BY queue.rank, queue.ready_at, queue.job_id
    LIMIT least(slots.room, chosen.jobs)
    FOR NO KEY UPDATE OF job SKIP LOCKED
) AS ready
