-- Which of the locked jobs waited for a worker before they were held.
SELECT DISTINCT hold.job_id
FROM unnest($1::uuid[], $2::text[]) AS item (job_id, tenant_id)
JOIN jobs.job_holds AS hold ON hold.job_id = item.job_id AND hold.tenant_id = item.tenant_id
WHERE hold.was_queued
