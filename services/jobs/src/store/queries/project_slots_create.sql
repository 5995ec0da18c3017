INSERT INTO jobs.project_slots (tenant_id, project_id, running, dequeued, infra_dequeued)
SELECT item.tenant_id, item.project_id, 0, 0, 0 FROM unnest($1::text[], $2::text[]) AS item (tenant_id, project_id)
ORDER BY item.tenant_id, item.project_id
ON CONFLICT DO NOTHING
