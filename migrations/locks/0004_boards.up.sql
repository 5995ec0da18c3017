-- Boards in two trips: one that looks, and one that writes where nothing has moved meanwhile. No transaction is open, and no row locked, while a
-- service decides. Each sets its scope in a statement of its own, before those that the scope guards.

-- What commands are decided on, in one snapshot: the heads that they name and those of the leases that they name, where they are; and the leases that
-- matter to them: those that they name, or that have one of the heads; those of the owners that ask; those under the keys that are asked with; and of each head's queue the
-- first whose instance is alive, or just the first where this instance may not judge. A row without a name says no more than the time, which is
-- after the snapshot. Each look-up has a LIMIT or OFFSET of its own, or the plan would read all that a tenant has and join.
CREATE FUNCTION locks.board_look(
    scope text, name_tenants text[], name_projects text[], name_classes text[], name_keys text[], named_leases uuid[], named_tenants text[],
    owner_tenants text[], owner_actors text[], owner_labels text[], key_tenants text[], key_actors text[], asked_keys text[], judges boolean
) RETURNS TABLE (
    now timestamptz, is_head boolean, tenant_id text, project_id text, class text, resource_key text, turn bigint, fence bigint, version bigint,
    places bigint, is_waited_for boolean, rejected_at timestamptz, lease_id uuid, actor_id text, owner text, idempotency_key text, request_hash bytea,
    project_ids text[], classes text[], resource_keys text[], fences bigint[], ttl_ms integer, stale_after_ms integer, renewals integer,
    renewals_max integer, asked_at timestamptz, call_id uuid, granted_at timestamptz, expires_at timestamptz, stale_at timestamptz,
    instance_id uuid, standing smallint, place bigint, is_live boolean, request_id text, traceparent text
) LANGUAGE plpgsql ROWS 100 AS $$
#variable_conflict use_column
BEGIN
    IF pg_is_in_recovery() THEN
        -- A look takes no lock, by which a primary that has been demoted would be found out.
        RAISE EXCEPTION 'a standby does not decide' USING ERRCODE = 'read_only_sql_transaction';
    END IF;
    PERFORM set_config('holdfast.tenants', scope, true);
    RETURN QUERY
    WITH moment AS MATERIALIZED (
        SELECT clock_timestamp() AS now
    ), named AS MATERIALIZED (
        SELECT lease.lease_id, lease.tenant_id, lease.project_ids, lease.classes, lease.resource_keys
        FROM unnest(named_leases, named_tenants) AS item (lease_id, tenant_id)
        CROSS JOIN LATERAL (
            SELECT * FROM locks.lock_leases
            WHERE lock_leases.lease_id = item.lease_id AND lock_leases.tenant_id = item.tenant_id
            LIMIT 1
        ) AS lease
    ), heads AS MATERIALIZED (
        SELECT head.*
        FROM (
            SELECT tenant_id, project_id, class, resource_key
            FROM unnest(name_tenants, name_projects, name_classes, name_keys) AS name (tenant_id, project_id, class, resource_key)
            UNION
            SELECT named.tenant_id, part.project_id, part.class, part.resource_key
            FROM named
            CROSS JOIN LATERAL unnest(named.project_ids, named.classes, named.resource_keys) AS part (project_id, class, resource_key)
        ) AS name
        CROSS JOIN LATERAL (
            SELECT
                lock_heads.*,
                EXISTS (
                    SELECT FROM locks.lock_leases AS waiting
                    WHERE waiting.state = 'waiting' AND waiting.tenant_id = name.tenant_id AND waiting.at_project_id = name.project_id
                        AND waiting.at_class = name.class AND waiting.at_resource_key = name.resource_key
                ) AS is_waited_for
            FROM locks.lock_heads
            WHERE lock_heads.tenant_id = name.tenant_id AND lock_heads.project_id = name.project_id AND lock_heads.class = name.class
                AND lock_heads.resource_key = name.resource_key
            LIMIT 1
        ) AS head
    ), found AS MATERIALIZED (
        SELECT named.lease_id, named.tenant_id FROM named
        UNION
        SELECT heads.lease_id, heads.tenant_id FROM heads WHERE heads.lease_id IS NOT NULL
        UNION
        SELECT own.lease_id, asking.tenant_id
        FROM unnest(owner_tenants, owner_actors, owner_labels) AS asking (tenant_id, actor_id, owner)
        CROSS JOIN LATERAL (
            SELECT lease.lease_id FROM locks.lock_leases AS lease
            WHERE lease.whose = asking.tenant_id || ' ' || asking.actor_id || ' ' || asking.owner
            OFFSET 0
        ) AS own
        UNION
        SELECT same.lease_id, asked.tenant_id
        FROM unnest(key_tenants, key_actors, asked_keys) AS asked (tenant_id, actor_id, idempotency_key)
        CROSS JOIN LATERAL (
            SELECT lease.lease_id FROM locks.lock_leases AS lease
            WHERE lease.tenant_id = asked.tenant_id AND lease.actor_id = asked.actor_id AND lease.idempotency_key = asked.idempotency_key
            LIMIT 1
        ) AS same
        UNION
        SELECT first.lease_id, heads.tenant_id
        FROM heads
        CROSS JOIN moment
        CROSS JOIN LATERAL (
            SELECT waiting.lease_id FROM locks.lock_leases AS waiting
            WHERE waiting.state = 'waiting' AND waiting.tenant_id = heads.tenant_id AND waiting.at_project_id = heads.project_id
                AND waiting.at_class = heads.class AND waiting.at_resource_key = heads.resource_key
                AND (
                    NOT judges OR EXISTS (
                        SELECT FROM locks.lock_instances AS instance
                        WHERE instance.instance_id = waiting.instance_id AND instance.expires_at > moment.now
                    )
                )
            ORDER BY waiting.place
            LIMIT 1
        ) AS first
    )
    SELECT
        moment.now, true, heads.tenant_id, heads.project_id, heads.class, heads.resource_key, heads.turn, heads.fence, heads.version,
        heads.places, heads.is_waited_for, heads.rejected_at, heads.lease_id, NULL::text, NULL::text, NULL::text, NULL::bytea, NULL::text[], NULL::text[], NULL::text[],
        NULL::bigint[], NULL::integer, NULL::integer, NULL::integer, NULL::integer, NULL::timestamptz, NULL::uuid, NULL::timestamptz,
        NULL::timestamptz, NULL::timestamptz, NULL::uuid, NULL::smallint, NULL::bigint, NULL::boolean, NULL::text, NULL::text
    FROM moment LEFT JOIN heads ON true
    UNION ALL
    SELECT
        moment.now, false, lease.tenant_id, NULL, NULL, NULL, NULL, NULL, NULL,
        NULL, NULL, NULL, lease.lease_id, lease.actor_id, lease.owner, lease.idempotency_key, lease.request_hash, lease.project_ids, lease.classes,
        lease.resource_keys, lease.fences, lease.ttl_ms, lease.stale_after_ms, lease.renewals, lease.renewals_max, lease.asked_at, lease.call_id,
        lease.granted_at, lease.expires_at, lease.stale_at, lease.instance_id, lease.standing, lease.place,
        NOT judges OR EXISTS (
            SELECT FROM locks.lock_instances AS instance WHERE instance.instance_id = lease.instance_id AND instance.expires_at > moment.now
        ),
        lease.request_id, lease.traceparent
    FROM found
    CROSS JOIN moment
    CROSS JOIN LATERAL (
        SELECT * FROM locks.lock_leases WHERE lock_leases.lease_id = found.lease_id AND lock_leases.tenant_id = found.tenant_id LIMIT 1
    ) AS lease;
END $$;

-- Writes what commands came to, where it still holds what they were decided on at `decided_at`: the heads that were seen stand at the same turn, and the
-- owners and keys that asked have no leases but those that were `known`. Answers the time; NULL where something has moved, or `decided_at` is to come or longer than a
-- second ago: nothing of it is written then, but that heads are made which are not there, at turn 0. A head whose next turn is the one at which it
-- stands is not written. The owners and keys are locked by number, then the heads in key order, each looked up and locked by itself (a join would leave
-- the order to the plan). Lists of names are joined by spaces, which no name holds.
CREATE FUNCTION locks.board_write(
    scope text, decided_at timestamptz, lock_within_ms integer, guards bigint[],
    owner_tenants text[], owner_actors text[], owner_labels text[], key_tenants text[], key_actors text[], asked_keys text[], known uuid[],
    head_tenants text[], head_projects text[], head_classes text[], head_keys text[], head_turns bigint[], head_next_turns bigint[],
    head_fences bigint[], head_versions bigint[], head_places bigint[], head_leases uuid[], head_rejected_at timestamptz[],
    removed_leases uuid[], removed_tenants text[], told_leases uuid[], told_tenants text[], told_calls uuid[],
    put_leases uuid[], put_tenants text[], put_actors text[], put_owners text[], put_keys text[], put_hashes bytea[], put_projects text[],
    put_classes text[], put_resource_keys text[], put_fences text[], put_ttls integer[], put_stale_afters integer[], put_renewals_max integer[],
    put_asked_at timestamptz[], put_calls uuid[], put_granted_at timestamptz[], put_expires_at timestamptz[], put_stale_at timestamptz[],
    put_instances uuid[], put_standing smallint[], put_places bigint[], put_requests text[], put_traces text[],
    entry_leases uuid[], entry_ordinals smallint[], entry_kinds smallint[], entry_whats text[], entry_tenants text[], entry_projects text[],
    entry_classes text[], entry_keys text[], entry_fences bigint[], entry_versions bigint[], entry_holders text[], entry_owners text[],
    entry_actors text[], entry_details text[], entry_events uuid[], entry_at timestamptz[], entry_requests text[], entry_traces text[],
    entry_shards smallint[], entry_ordering_keys text[], entry_payloads bytea[]
) RETURNS timestamptz LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('holdfast.tenants', scope, true), set_config('lock_timeout', lock_within_ms::text, true);
    IF 0 = ANY (head_turns) THEN
        -- Before anything is locked, and in key order: whoever waits here holds nothing that others wait for but what it has made itself.
        INSERT INTO locks.lock_heads (tenant_id, project_id, class, resource_key)
        SELECT tenant_id, project_id, class, resource_key
        FROM unnest(head_tenants, head_projects, head_classes, head_keys, head_turns) AS name (tenant_id, project_id, class, resource_key, turn)
        WHERE turn = 0
        ORDER BY tenant_id, project_id, class, resource_key
        ON CONFLICT DO NOTHING;
    END IF;
    PERFORM pg_advisory_xact_lock(number)
        FROM (SELECT DISTINCT number FROM unnest(guards) AS asking (number) ORDER BY number) AS numbers;
    IF cardinality(head_turns) <> (
        SELECT count(*)
        FROM (
            SELECT * FROM unnest(head_tenants, head_projects, head_classes, head_keys, head_turns)
                AS raw (tenant_id, project_id, class, resource_key, turn)
            ORDER BY raw.tenant_id COLLATE "C", raw.project_id COLLATE "C", raw.class COLLATE "C", raw.resource_key COLLATE "C"
        ) AS seen
        CROSS JOIN LATERAL (
            SELECT lock_heads.turn FROM locks.lock_heads
            WHERE lock_heads.tenant_id = seen.tenant_id AND lock_heads.project_id = seen.project_id AND lock_heads.class = seen.class
                AND lock_heads.resource_key = seen.resource_key
            FOR UPDATE
        ) AS head
        WHERE head.turn = seen.turn
    ) THEN
        RETURN NULL;
    END IF;
    -- In statements of their own: they see what was committed while the locks above were waited for.
    IF clock_timestamp() NOT BETWEEN decided_at AND decided_at + interval '1 second' OR EXISTS (
        SELECT
        FROM unnest(owner_tenants, owner_actors, owner_labels) AS asking (tenant_id, actor_id, owner)
        CROSS JOIN LATERAL (
            SELECT lease.lease_id FROM locks.lock_leases AS lease
            WHERE lease.whose = asking.tenant_id || ' ' || asking.actor_id || ' ' || asking.owner
            OFFSET 0
        ) AS own
        WHERE own.lease_id <> ALL (known)
    ) OR EXISTS (
        SELECT
        FROM unnest(key_tenants, key_actors, asked_keys) AS asked (tenant_id, actor_id, idempotency_key)
        CROSS JOIN LATERAL (
            SELECT lease.lease_id FROM locks.lock_leases AS lease
            WHERE lease.tenant_id = asked.tenant_id AND lease.actor_id = asked.actor_id AND lease.idempotency_key = asked.idempotency_key
            LIMIT 1
        ) AS same
        WHERE same.lease_id <> ALL (known)
    ) THEN
        RETURN NULL;
    END IF;
    IF cardinality(told_leases) > 0 THEN
        -- Held: nothing of it but the call that was told of it, since heartbeats move the rest.
        UPDATE locks.lock_leases SET call_id = told_calls[array_position(told_leases, lease_id)]
        WHERE lease_id = ANY (told_leases) AND tenant_id = ANY (told_tenants);
    END IF;
    -- No joins: while a table is small a plan would read all of it for one, and keep to that when it has grown.
    WITH heads AS (
        INSERT INTO locks.lock_heads AS head (
            tenant_id, project_id, class, resource_key, turn, fence, version, places, lease_id, rejected_at
        )
        SELECT tenant_id, project_id, class, resource_key, next_turn, fence, version, places, lease_id, rejected_at
        FROM unnest(
            head_tenants, head_projects, head_classes, head_keys, head_turns, head_next_turns, head_fences, head_versions, head_places,
            head_leases, head_rejected_at
        ) AS item (tenant_id, project_id, class, resource_key, turn, next_turn, fence, version, places, lease_id, rejected_at)
        WHERE item.next_turn > item.turn
        ON CONFLICT (tenant_id, project_id, class, resource_key) DO UPDATE SET
            turn = excluded.turn, fence = excluded.fence, version = excluded.version, places = excluded.places, lease_id = excluded.lease_id,
            rejected_at = excluded.rejected_at
    ), removed AS (
        DELETE FROM locks.lock_leases WHERE lease_id = ANY (removed_leases) AND tenant_id = ANY (removed_tenants)
    ), put AS (
        INSERT INTO locks.lock_leases (
            lease_id, tenant_id, actor_id, owner, idempotency_key, request_hash, state, project_ids, classes, resource_keys, fences, ttl_ms,
            stale_after_ms, renewals, renewals_max, asked_at, call_id, granted_at, expires_at, stale_at, instance_id, standing, at_project_id,
            at_class, at_resource_key, place, request_id, traceparent
        )
        SELECT
            lease_id, tenant_id, actor_id, owner, idempotency_key, request_hash, CASE WHEN granted_at IS NULL THEN 'waiting' ELSE 'held' END,
            string_to_array(project_ids, ' '), string_to_array(classes, ' '), string_to_array(resource_keys, ' '),
            string_to_array(fences, ' ')::int8[], ttl_ms, stale_after_ms, 0, renewals_max, asked_at, call_id, granted_at, expires_at, stale_at,
            instance_id, standing, (string_to_array(project_ids, ' '))[standing], (string_to_array(classes, ' '))[standing],
            (string_to_array(resource_keys, ' '))[standing], place, request_id, traceparent
        FROM unnest(
            put_leases, put_tenants, put_actors, put_owners, put_keys, put_hashes, put_projects, put_classes, put_resource_keys, put_fences,
            put_ttls, put_stale_afters, put_renewals_max, put_asked_at, put_calls, put_granted_at, put_expires_at, put_stale_at,
            put_instances, put_standing, put_places, put_requests, put_traces
        ) AS item (
            lease_id, tenant_id, actor_id, owner, idempotency_key, request_hash, project_ids, classes, resource_keys, fences,
            ttl_ms, stale_after_ms, renewals_max, asked_at, call_id, granted_at, expires_at, stale_at,
            instance_id, standing, place, request_id, traceparent
        )
        ON CONFLICT (lease_id) DO UPDATE SET
            state = excluded.state, fences = excluded.fences, call_id = excluded.call_id, granted_at = excluded.granted_at,
            expires_at = excluded.expires_at, stale_at = excluded.stale_at, instance_id = excluded.instance_id, standing = excluded.standing,
            at_project_id = excluded.at_project_id, at_class = excluded.at_class, at_resource_key = excluded.at_resource_key,
            place = excluded.place
        WHERE lock_leases.tenant_id = excluded.tenant_id
    ), entry AS MATERIALIZED (
        SELECT * FROM unnest(
            entry_leases, entry_ordinals, entry_kinds, entry_whats, entry_tenants, entry_projects, entry_classes, entry_keys, entry_fences,
            entry_versions, entry_holders, entry_owners, entry_actors, entry_details, entry_events, entry_at, entry_requests, entry_traces,
            entry_shards, entry_ordering_keys, entry_payloads
        ) AS entry (
            lease_id, ordinal, entry, what, tenant_id, project_id, class, resource_key, fence, version,
            holder_actor_id, owner, actor_id, detail, event_id, occurred_at, request_id, traceparent, shard,
            ordering_key, event_payload
        )
    ), journal AS (
        INSERT INTO locks.locks (
            lease_id, ordinal, entry, what, tenant_id, project_id, class, resource_key, fence, version, holder_actor_id, owner, actor_id,
            detail, event_id, occurred_at, request_id, traceparent
        )
        SELECT
            lease_id, ordinal, entry, what, tenant_id, project_id, class, resource_key, fence, version, holder_actor_id, owner, actor_id,
            detail, event_id, occurred_at, request_id, traceparent
        FROM entry
    )
    INSERT INTO locks.outbox (
        slot, outbox_id, shard, tenant_id, project_id, ordering_key, key_seq, event_name, event_payload, traceparent, created_at
    )
    SELECT
        ring.slot, event_id, shard, tenant_id, project_id, ordering_key, version, 'lock.' || what, event_payload, traceparent, occurred_at
    FROM (SELECT slot FROM locks.outbox_ring WHERE is_current) AS ring, entry;
    RETURN clock_timestamp();
END $$;

REVOKE ALL ON FUNCTION locks.board_look, locks.board_write FROM PUBLIC;
GRANT EXECUTE ON FUNCTION locks.board_look, locks.board_write TO holdfast_locks_app;
