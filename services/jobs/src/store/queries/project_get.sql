-- A project's settings, which may be none, and the clock.
SELECT
    own.version AS "version?", own.running_max AS "running_max?", own.weight AS "weight?", own.queue_soft AS "queue_soft?",
    own.queue_hard AS "queue_hard?", own.tokens_per_day_max AS "tokens_per_day_max?",
    own.cost_micros_per_day_max AS "cost_micros_per_day_max?", own.intents AS "intents?", own.updated_at AS "updated_at?",
    own.updated_by AS "updated_by?", clock_timestamp() AS "now!"
FROM (SELECT $1::text AS tenant_id, $2::text AS project_id) AS asked
LEFT JOIN LATERAL (
    SELECT * FROM jobs.project_settings AS settings
    WHERE settings.tenant_id = asked.tenant_id AND settings.project_id = asked.project_id
) AS own ON true
