-- What commands are decided on; see the function.
SELECT
    now AS "now!", is_head AS "is_head!", tenant_id, project_id, class, resource_key, turn, fence, version, places, is_waited_for, rejected_at, lease_id,
    actor_id, owner, idempotency_key, request_hash, project_ids, classes, resource_keys, fences, ttl_ms, stale_after_ms, renewals,
    renewals_max, asked_at, call_id, granted_at, expires_at, stale_at, instance_id, standing, place, is_live, request_id, traceparent
FROM locks.board_look(
    scope => $1, name_tenants => $2, name_projects => $3, name_classes => $4, name_keys => $5, named_leases => $6, named_tenants => $7,
    owner_tenants => $8, owner_actors => $9, owner_labels => $10, key_tenants => $11, key_actors => $12, asked_keys => $13, judges => $14
)
