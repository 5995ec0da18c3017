-- Whoever a failed job blocks waits for the one that does it anew.
UPDATE jobs.job_dependencies AS open SET depends_on = item.anew
FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS item (old, anew, tenant_id)
WHERE open.depends_on = item.old AND open.tenant_id = item.tenant_id AND open.on_failure = 'block'
RETURNING open.depends_on AS anew, open.tenant_id
