-- Opens a window for each key that has none open: exactly one caller wins each, whatever the number of instances.
-- Sorted, so that two batches cannot wait for each other in a circle. What is in its window is not answered here and is
-- read in a statement of its own, whose snapshot sees what this one waited for.
INSERT INTO jobs.idempotency_heads AS head (
    tenant_id, project_id, intent, actor_id, idempotency_key,
    generation, ledger_id, payload_hash, window_end, job_id, token, lease_expires_at, completed_at
)
SELECT
    item.tenant_id, item.project_id, item.intent, item.actor_id, item.idempotency_key,
    1, item.ledger_id, item.payload_hash, clock.now + item.window_ms * interval '1 millisecond', item.job_id, 0, NULL, clock.now
FROM
    (SELECT clock_timestamp() AS now) AS clock,
    unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::bytea[], $8::int8[], $9::uuid[])
        AS item (tenant_id, project_id, intent, actor_id, idempotency_key, ledger_id, payload_hash, window_ms, job_id)
ORDER BY item.tenant_id, item.project_id, item.intent, item.actor_id, item.idempotency_key
ON CONFLICT (tenant_id, project_id, intent, actor_id, idempotency_key) DO UPDATE SET
    generation = head.generation + 1,
    ledger_id = excluded.ledger_id,
    payload_hash = excluded.payload_hash,
    -- The clock was read before the wait for this row, the predicate below after it: without greatest() a window could
    -- begin before the end of the one that it follows.
    window_end = greatest(excluded.completed_at, head.window_end) + (excluded.window_end - excluded.completed_at),
    job_id = excluded.job_id,
    lease_expires_at = NULL,
    completed_at = greatest(excluded.completed_at, head.window_end)
WHERE head.window_end <= clock_timestamp()
RETURNING head.ledger_id, head.generation, head.window_end, head.completed_at AS "opened_at!"
