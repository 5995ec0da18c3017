-- The projects of a tenant by name: each has a row of slots once it has settings or a job.
SELECT
    slots.project_id, own.version AS "version?", own.running_max AS "running_max?", own.weight AS "weight?",
    own.queue_soft AS "queue_soft?", own.queue_hard AS "queue_hard?", own.tokens_per_day_max AS "tokens_per_day_max?",
    own.cost_micros_per_day_max AS "cost_micros_per_day_max?", own.intents AS "intents?", own.updated_at AS "updated_at?",
    own.updated_by AS "updated_by?"
FROM jobs.project_slots AS slots
LEFT JOIN LATERAL (
    SELECT * FROM jobs.project_settings AS own
    WHERE own.tenant_id = slots.tenant_id AND own.project_id = slots.project_id
    -- Keeps it a look-up by the key: as a join it would be planned as a scan of the tenant's rows.
    LIMIT 1
) AS own ON true
WHERE slots.tenant_id = $1 AND slots.project_id > $2 AND (cardinality($3::text[]) = 0 OR slots.project_id = ANY ($3::text[]))
ORDER BY slots.project_id
LIMIT $4
