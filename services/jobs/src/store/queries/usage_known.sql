-- What is recorded already under each key, and whether the lease named is, or was, one of the job's. Under the lock of the
-- jobs: nobody else records usage of them meanwhile. An old lease is told by its fencing token, which its history row has.
SELECT
    item.ordinal AS "ordinal!",
    usage.provider AS "provider?", usage.model AS "model?", usage.input_tokens AS "input_tokens?",
    usage.output_tokens AS "output_tokens?", usage.cost_micro_usd AS "cost_micro_usd?", usage.recorded_at AS "recorded_at?",
    (item.lease_id IS NULL OR job.fence = item.fence AND job.lease_id = item.lease_id OR job.fence > item.fence AND (
        SELECT event.seq FROM jobs.job_events AS event
        WHERE event.job_id = item.job_id AND event.tenant_id = item.tenant_id AND event.to_state = 'running' AND event.fence = item.fence
        LIMIT 1
    ) IS NOT NULL) AS "was_held!"
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::int8[]) WITH ORDINALITY
    AS item (job_id, tenant_id, idempotency_key, lease_id, fence, ordinal)
JOIN jobs.jobs AS job ON job.job_id = item.job_id AND job.tenant_id = item.tenant_id
LEFT JOIN jobs.model_usage AS usage
    ON usage.job_id = item.job_id AND usage.idempotency_key = item.idempotency_key AND usage.tenant_id = item.tenant_id
