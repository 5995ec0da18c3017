-- Locks jobs in the order of their ids, the same in every transaction: the items are sorted, and each is looked up and
-- locked by itself (a join would leave the order to the plan). Each item is looked for in the tenants of its own caller
-- only: the scope of a batch is the union over its callers and does not separate one from another.
SELECT job.job_id, job.tenant_id
FROM (SELECT * FROM unnest($1::uuid[], $2::text[]) AS raw (job_id, tenants) ORDER BY raw.job_id) AS item
CROSS JOIN LATERAL (
    SELECT job.job_id, job.tenant_id FROM jobs.jobs AS job
    WHERE job.job_id = item.job_id AND job.tenant_id = ANY (string_to_array(item.tenants, ','))
    FOR NO KEY UPDATE
) AS job
