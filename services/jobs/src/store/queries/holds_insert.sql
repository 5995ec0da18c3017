-- What holds blocked jobs, which are locked or new.
INSERT INTO jobs.job_holds (job_id, tenant_id, held_by, of_tenant, was_queued)
SELECT job_id, tenant_id, held_by, of_tenant, was_queued
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bool[]) AS item (job_id, tenant_id, held_by, of_tenant, was_queued)
ON CONFLICT DO NOTHING
