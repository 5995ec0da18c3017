SELECT counted.job_id, counted.tokens, counted.cost_micro_usd
FROM unnest($1::uuid[], $2::text[]) AS item (job_id, tenant_id)
JOIN jobs.job_usage AS counted ON counted.job_id = item.job_id AND counted.tenant_id = item.tenant_id
