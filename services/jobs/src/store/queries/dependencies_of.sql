-- What locked jobs wait for, and how that stands; NULL where it is not kept any more. A statement of its own after the lock, so
-- that it sees what the others that settled the same job have left.
SELECT open.job_id, open.depends_on, open.on_failure, other.state AS "state?"
FROM unnest($1::uuid[], $2::text[]) AS item (job_id, tenant_id)
JOIN jobs.job_dependencies AS open ON open.job_id = item.job_id AND open.tenant_id = item.tenant_id
LEFT JOIN jobs.jobs AS other ON other.job_id = open.depends_on AND other.tenant_id = open.tenant_id
