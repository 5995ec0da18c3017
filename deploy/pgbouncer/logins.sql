-- For PgBouncer's auth_user, in the database that auth_dbname names: run once by an administrator, safe to repeat. Then
--   ALTER ROLE holdfast_pgbouncer PASSWORD '...';
-- and the same in PgBouncer's auth_file:  "holdfast_pgbouncer" "..."
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'holdfast_pgbouncer') THEN
        CREATE ROLE holdfast_pgbouncer LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOBYPASSRLS NOREPLICATION;
    END IF;
END $$;

CREATE SCHEMA IF NOT EXISTS pgbouncer;

-- Verifiers of the services' roles and of nobody else: with a verifier alone one logs in nowhere, but can guess at leisure.
CREATE OR REPLACE FUNCTION pgbouncer.login(login text) RETURNS TABLE (rolname name, rolpassword text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT a.rolname, CASE WHEN a.rolvaliduntil < now() THEN NULL ELSE a.rolpassword END
    FROM pg_authid a
    WHERE a.rolname = login AND a.rolname LIKE 'holdfast\_%' AND a.rolname NOT LIKE '%\_owner' AND a.rolcanlogin AND NOT a.rolsuper
$$;

REVOKE ALL ON SCHEMA pgbouncer FROM PUBLIC;
REVOKE ALL ON FUNCTION pgbouncer.login(text) FROM PUBLIC;
GRANT USAGE ON SCHEMA pgbouncer TO holdfast_pgbouncer;
GRANT EXECUTE ON FUNCTION pgbouncer.login(text) TO holdfast_pgbouncer;
