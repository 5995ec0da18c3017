-- A change of a project's settings: the settings, the row of their history, what the claim reads of them, and the event. Answers
-- nothing where another change came first, whatever was read before.
WITH put AS (
    INSERT INTO jobs.project_settings AS own (
        tenant_id, project_id, version, running_max, weight, queue_soft, queue_hard, tokens_per_day_max, cost_micros_per_day_max,
        intents, updated_at, updated_by
    )
    VALUES ($1, $2, $3, $4::int4, $5::int4, $6::int8, $7::int8, $8::int8, $9::int8, $10::jsonb, $11, $12)
    ON CONFLICT (tenant_id, project_id) DO UPDATE SET
        version = excluded.version, running_max = excluded.running_max, weight = excluded.weight, queue_soft = excluded.queue_soft,
        queue_hard = excluded.queue_hard, tokens_per_day_max = excluded.tokens_per_day_max,
        cost_micros_per_day_max = excluded.cost_micros_per_day_max, intents = excluded.intents, updated_at = excluded.updated_at,
        updated_by = excluded.updated_by
    WHERE own.version = excluded.version - 1
    RETURNING version
), history AS (
    INSERT INTO jobs.project_changes (
        tenant_id, project_id, version, settings, actor_id, role, changed_at, request_id, traceparent
    )
    SELECT $1, $2, version, $13::jsonb, $12, $14, $11, $15, $16 FROM put
), slots AS (
    INSERT INTO jobs.project_slots (tenant_id, project_id, running, dequeued, infra_dequeued, running_max, weight)
    SELECT $1, $2, 0, 0, 0, $4::int4, $5::int4 FROM put
    ON CONFLICT (tenant_id, project_id) DO UPDATE SET running_max = excluded.running_max, weight = excluded.weight
), event AS (
    INSERT INTO jobs.outbox (
        slot, outbox_id, shard, tenant_id, project_id, ordering_key, key_seq, event_name, event_payload, traceparent, created_at
    )
    SELECT ring.slot, $17::uuid, $18::int2, $1, $2, $19, version, 'project.settings_changed', $20::bytea, $16, $11
    FROM (SELECT slot FROM jobs.outbox_ring WHERE is_current) AS ring, put
)
SELECT version FROM put
