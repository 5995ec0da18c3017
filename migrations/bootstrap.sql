-- Roles and schemas, made once by an administrator (`holdfast migrate up` does it over its admin URL); safe to repeat.
-- Each role has a login and a pool of its own; none is a member of another, since an inherited membership would open
-- every tenant. Migrations run as the owner of a schema, services as its app and task roles, which own nothing.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['holdfast_jobs_owner', 'holdfast_jobs_app', 'holdfast_jobs_task', 'holdfast_locks_owner', 'holdfast_locks_app',
        'holdfast_locks_task', 'holdfast_relay_owner', 'holdfast_relay'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOBYPASSRLS NOREPLICATION', name);
        END IF;
    END LOOP;

    -- Set on the role, not at connect: these survive transaction pooling. A session that stalls inside a transaction
    -- (its process paused, its host gone) must not keep its row locks.
    FOREACH name IN ARRAY ARRAY['holdfast_jobs_app', 'holdfast_jobs_task', 'holdfast_locks_app', 'holdfast_locks_task', 'holdfast_relay'] LOOP
        EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = ''5s''', name);
        EXECUTE format('ALTER ROLE %I SET statement_timeout = ''30s''', name);
        EXECUTE format('ALTER ROLE %I SET lock_timeout = ''10s''', name);
        EXECUTE format('ALTER ROLE %I SET jit = off', name);
    END LOOP;
    -- A paused instance of locks may hold what heartbeats of others wait for: it is not waited for longer than short leases can stand.
    ALTER ROLE holdfast_locks_app SET idle_in_transaction_session_timeout = '2s';
    -- Every query of theirs goes through an index, in its order. Statistics of tables that are empty at one moment and full at the
    -- next talk the planner into scans and hash joins that a cached plan then keeps. Updates of many rows rely on it as well: a
    -- scan or a hash join would lock them in no order at all.
    FOREACH name IN ARRAY ARRAY['holdfast_jobs_app', 'holdfast_jobs_task', 'holdfast_locks_app', 'holdfast_locks_task', 'holdfast_relay'] LOOP
        EXECUTE format('ALTER ROLE %I SET plan_cache_mode = force_generic_plan', name);
        EXECUTE format('ALTER ROLE %I SET enable_seqscan = off', name);
        EXECUTE format('ALTER ROLE %I SET enable_hashjoin = off', name);
        EXECUTE format('ALTER ROLE %I SET enable_mergejoin = off', name);
        EXECUTE format('ALTER ROLE %I SET enable_bitmapscan = off', name);
        EXECUTE format('ALTER ROLE %I SET enable_material = off', name);
        EXECUTE format('ALTER ROLE %I SET enable_memoize = off', name);
        EXECUTE format('ALTER ROLE %I SET enable_sort = off', name);
    END LOOP;
END $$;

CREATE SCHEMA IF NOT EXISTS jobs AUTHORIZATION holdfast_jobs_owner;
CREATE SCHEMA IF NOT EXISTS locks AUTHORIZATION holdfast_locks_owner;
CREATE SCHEMA IF NOT EXISTS relay AUTHORIZATION holdfast_relay_owner;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
