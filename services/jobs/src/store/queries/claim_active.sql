-- Who has jobs that could be leased now: each queue of each project, with the room under the project's limit and how many
-- there are, counted up to a few. Nothing is locked: whose turn it is is worked out from this, and what
-- is chosen is looked at again under its lock (claim_take.sql).
SELECT tenant.tenant_id AS "tenant_id!", project.project_id AS "project_id!", project.queue AS "queue!", project.room AS "room!",
    project.ready AS "ready!", project.weight AS "weight?"
FROM unnest($1::text[], $10::text[]) AS tenant (tenant_id, after_project_id)
CROSS JOIN LATERAL (
    WITH RECURSIVE step AS (
        SELECT (
            SELECT queue.project_id FROM jobs.job_queue AS queue
            WHERE queue.tenant_id = tenant.tenant_id AND queue.project_id > tenant.after_project_id
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
    SELECT step.project_id, class.queue, slots.room, flow.ready, slots.weight
    FROM step
    CROSS JOIN LATERAL (
        SELECT limits.running_max - slots.running AS room, slots.weight
        FROM jobs.project_slots AS slots
        CROSS JOIN LATERAL (
            SELECT coalesce(slots.running_max, (
                SELECT own.running_max FROM unnest($5::text[], $6::text[], $7::int4[]) AS own (tenant_id, project_id, running_max)
                WHERE own.tenant_id = slots.tenant_id AND own.project_id = slots.project_id
            ), $4::int4) AS running_max
        ) AS limits
        WHERE slots.tenant_id = tenant.tenant_id AND slots.project_id = step.project_id AND slots.running < limits.running_max
        -- Keeps it a look-up by the key: as a join it would be planned as a scan of the tenant's rows.
        LIMIT 1
    ) AS slots
    CROSS JOIN unnest($2::text[]) AS class (queue)
    CROSS JOIN LATERAL (
        SELECT count(*) AS ready
        FROM (
            SELECT FROM jobs.job_queue AS queue
            WHERE queue.tenant_id = tenant.tenant_id AND queue.project_id = step.project_id
                AND queue.queue = class.queue AND (cardinality($3::text[]) = 0 OR queue.intent = ANY ($3::text[]))
            LIMIT least(slots.room, $8::int8)
        ) AS counted
    ) AS flow
    WHERE step.project_id IS NOT NULL AND (cardinality($9::text[]) = 0 OR step.project_id = ANY ($9::text[]))
        AND flow.ready > 0
    LIMIT $11
) AS project
