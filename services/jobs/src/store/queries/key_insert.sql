-- The first use of a key. Does nothing where it was used before; that head is locked and read next.
INSERT INTO jobs.idempotency_heads (
    tenant_id, project_id, intent, actor_id, idempotency_key,
    generation, ledger_id, payload_hash, window_end, token, lease_expires_at
)
SELECT $1, $2, $3, $4, $5, 1, $6, $7, clock.now + $8::int8 * interval '1 millisecond', 1, clock.now + $9::int8 * interval '1 millisecond'
FROM (SELECT clock_timestamp() AS now) AS clock
ON CONFLICT DO NOTHING
RETURNING window_end, lease_expires_at AS "lease_expires_at!", (window_end - $8::int8 * interval '1 millisecond') AS "opened_at!"
