-- A row in every table of schema locks, for the rehearsal of its migrations. Run as an administrator, whom row-level security does not bind.
SELECT locks.ensure_partitions(1);

INSERT INTO locks.lock_heads (tenant_id, project_id, class, resource_key, fence, version, places, lease_id)
VALUES ('sample', 'sample', 'project', 'main', 7, 1, 1, locks.uuid7_floor(clock_timestamp()));

INSERT INTO locks.lock_instances (instance_id, expires_at) VALUES (gen_random_uuid(), clock_timestamp() + interval '1 day');

INSERT INTO locks.lock_leases (lease_id, tenant_id, actor_id, owner, idempotency_key, request_hash, state, project_ids, classes, resource_keys, fences,
    ttl_ms, stale_after_ms, renewals, renewals_max, asked_at, call_id, granted_at, expires_at, stale_at, request_id, traceparent)
SELECT lease_id, tenant_id, 'rehearsal', 'sample', 'sample-1', decode(repeat('00', 32), 'hex'), 'held', ARRAY[project_id], ARRAY[class], ARRAY[resource_key],
    ARRAY[fence], 30000, 45000, 0, 80, clock_timestamp(), gen_random_uuid(), clock_timestamp(), clock_timestamp() + interval '1 day', clock_timestamp() + interval '2 days',
    'rehearsal', '' FROM locks.lock_heads;

INSERT INTO locks.lock_leases (lease_id, tenant_id, actor_id, owner, request_hash, state, project_ids, classes, resource_keys, fences, ttl_ms,
    stale_after_ms, renewals, renewals_max, asked_at, call_id, instance_id, standing, at_project_id, at_class, at_resource_key, place, request_id, traceparent)
SELECT gen_random_uuid(), tenant_id, 'rehearsal', 'other', decode(repeat('00', 32), 'hex'), 'waiting', ARRAY[project_id], ARRAY[class], ARRAY[resource_key],
    '{}', 30000, 45000, 0, 80, clock_timestamp(), gen_random_uuid(), instance_id, 1, project_id, class, resource_key, 1, 'rehearsal', ''
FROM locks.lock_heads, locks.lock_instances;

INSERT INTO locks.locks (lease_id, ordinal, entry, what, tenant_id, project_id, class, resource_key, fence, version, holder_actor_id, owner, actor_id, detail,
    event_id, occurred_at, request_id, traceparent)
SELECT lease_id, 1, 1, 'granted', tenant_id, project_id, class, resource_key, fence, version, 'rehearsal', 'sample', 'rehearsal', '', gen_random_uuid(),
    clock_timestamp(), 'rehearsal', '' FROM locks.lock_heads;

INSERT INTO locks.outbox (slot, outbox_id, shard, tenant_id, project_id, ordering_key, key_seq, event_name, event_payload, traceparent, created_at)
SELECT 0, event_id, 0, tenant_id, project_id, 'sample', version, 'lock.granted', '', traceparent, occurred_at FROM locks.locks;

INSERT INTO locks.task_leases (task, holder, epoch, expires_at) VALUES ('expiry', 'rehearsal', 1, clock_timestamp());
