-- The time that people have for jobs of tier C, as transitions leave it; the rows of those that have ended go. A wait that goes
-- on keeps the time of its latest reminder.
WITH item AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::uuid[], $2::text[], $3::text[], $4::int8[], $5::int8[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[],
        $9::bool[], $10::bool[]
    ) AS item (job_id, tenant_id, project_id, budget_ms, spent_ms, ends_at, since, due_at, reminds, is_over)
), over AS (
    DELETE FROM jobs.job_waits AS wait USING item
    WHERE item.is_over AND wait.job_id = item.job_id AND wait.tenant_id = item.tenant_id
)
INSERT INTO jobs.job_waits AS wait (job_id, tenant_id, project_id, budget_ms, spent_ms, ends_at, since, due_at, reminds, reminders)
SELECT job_id, tenant_id, project_id, budget_ms, spent_ms, ends_at, since, due_at, reminds, 0 FROM item WHERE NOT is_over
ON CONFLICT (job_id) DO UPDATE SET
    spent_ms = excluded.spent_ms, since = excluded.since, due_at = excluded.due_at, reminds = excluded.reminds,
    reminded_at = CASE WHEN wait.since = excluded.since THEN wait.reminded_at END
