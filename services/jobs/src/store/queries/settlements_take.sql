-- Jobs that have ended and whose dependents nobody looks at at this moment.
SELECT settlement_id, job_id, tenant_id, after_job_id FROM jobs.job_settlements
ORDER BY settlement_id
LIMIT $1
FOR UPDATE SKIP LOCKED
