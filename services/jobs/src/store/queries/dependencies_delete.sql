-- What blocked jobs waited for, and what held them, as they move on.
WITH item AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::text[]) AS item (job_id, tenant_id)
), held AS (
    DELETE FROM jobs.job_holds AS hold USING item
    WHERE hold.job_id = item.job_id AND hold.tenant_id = item.tenant_id
)
DELETE FROM jobs.job_dependencies AS open USING item
WHERE open.job_id = item.job_id AND open.tenant_id = item.tenant_id
