-- What locked jobs no longer wait for, while they wait for something else. None of these rows is one that
-- dependencies_move.sql locks: those wait for a job that has failed, and stay blocked by it.
DELETE FROM jobs.job_dependencies AS open
USING unnest($1::uuid[], $2::uuid[], $3::text[]) AS item (job_id, depends_on, tenant_id)
WHERE open.job_id = item.job_id AND open.depends_on = item.depends_on AND open.tenant_id = item.tenant_id
