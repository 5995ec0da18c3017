-- As the task role: settings of every tenant's projects that were changed at a time or later.
SELECT
    tenant_id, project_id, version AS "version?", running_max AS "running_max?", weight AS "weight?", queue_soft AS "queue_soft?",
    queue_hard AS "queue_hard?", tokens_per_day_max AS "tokens_per_day_max?",
    cost_micros_per_day_max AS "cost_micros_per_day_max?", intents AS "intents?", updated_at AS "updated_at?",
    updated_by AS "updated_by?"
FROM jobs.project_settings
WHERE updated_at >= $1
