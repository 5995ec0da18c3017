-- The latest windows of keys, whether they are open, and how the jobs stand that they queued. A window that the claim of
-- this transaction passed over counts as open whatever the clock says by now: that was decided under its row's lock, which
-- is still held, and a batch that waited for other rows meanwhile would find some window ended again and again. Looked up
-- one by one (OFFSET 0 keeps the planner from turning the join round, which it does while the table is small).
SELECT
    item.ordinal AS "ordinal!", head.ledger_id AS "ledger_id!", head.generation AS "generation!",
    head.payload_hash AS "payload_hash!", head.window_end AS "window_end!",
    head.window_end > clock_timestamp() AS "is_open!", head.job_id AS "job_id?", job.state AS "job_state?"
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) WITH ORDINALITY
    AS item (tenant_id, project_id, intent, actor_id, idempotency_key, ordinal)
CROSS JOIN LATERAL (
    SELECT head.ledger_id, head.generation, head.payload_hash, head.window_end, head.job_id, head.tenant_id
    FROM jobs.idempotency_heads AS head
    WHERE head.tenant_id = item.tenant_id AND head.project_id = item.project_id AND head.intent = item.intent
        AND head.actor_id = item.actor_id AND head.idempotency_key = item.idempotency_key
    OFFSET 0
) AS head
LEFT JOIN jobs.jobs AS job ON job.job_id = head.job_id AND job.tenant_id = head.tenant_id
