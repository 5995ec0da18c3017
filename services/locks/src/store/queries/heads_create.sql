-- In key order, so that two transactions that make the same heads wait for each other in one order. Before any head is locked: whoever waits here holds
-- nothing that others wait for but what it has made itself.
INSERT INTO locks.lock_heads (tenant_id, project_id, class, resource_key)
SELECT tenant_id, project_id, class, resource_key
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS name (tenant_id, project_id, class, resource_key)
ORDER BY tenant_id, project_id, class, resource_key
ON CONFLICT DO NOTHING
