-- What blocked jobs waited for, and what held them, as they move on. By the dependent alone: what a row waits for may change
-- while its lock is waited for. In the order of the dependents, and of what each waits for by the index: dependencies_move.sql
-- locks rows of the same dependents.
WITH item AS MATERIALIZED (
    SELECT job_id, tenant_id FROM unnest($1::uuid[], $2::text[]) AS raw (job_id, tenant_id) ORDER BY job_id
), held AS (
    DELETE FROM jobs.job_holds AS hold USING item
    WHERE hold.job_id = item.job_id AND hold.tenant_id = item.tenant_id
)
DELETE FROM jobs.job_dependencies AS open USING item
WHERE open.job_id = item.job_id AND open.tenant_id = item.tenant_id
