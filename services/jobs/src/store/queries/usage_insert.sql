-- New usage, under the lock of its jobs, and what each of them has used with it.
WITH item AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::int8[], $9::int8[], $10::int8[],
        $11::uuid[], $12::text[], $13::timestamptz[], $14::text[], $15::text[]
    ) AS item (
        job_id, idempotency_key, tenant_id, project_id, user_id, provider, model, input_tokens, output_tokens, cost_micro_usd,
        lease_id, actor_id, recorded_at, request_id, traceparent
    )
), usage AS (
    INSERT INTO jobs.model_usage (
        job_id, idempotency_key, tenant_id, project_id, user_id, provider, model, input_tokens, output_tokens, cost_micro_usd,
        lease_id, actor_id, recorded_at, request_id, traceparent
    )
    SELECT * FROM item
)
INSERT INTO jobs.job_usage AS counted (job_id, tenant_id, project_id, tokens, cost_micro_usd, entries)
SELECT job_id, tenant_id, project_id, sum(input_tokens + output_tokens)::int8, sum(cost_micro_usd)::int8, count(*)
FROM item GROUP BY job_id, tenant_id, project_id
ON CONFLICT (job_id) DO UPDATE SET
    tokens = counted.tokens + excluded.tokens,
    cost_micro_usd = counted.cost_micro_usd + excluded.cost_micro_usd,
    entries = counted.entries + excluded.entries
RETURNING job_id, tokens, cost_micro_usd
