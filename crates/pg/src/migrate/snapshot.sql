-- One row a line of the snapshot: the object it belongs to, and the line. $1 is the schema.
WITH space AS (
    SELECT oid, nspname, nspowner, nspacl FROM pg_catalog.pg_namespace WHERE nspname = $1
), relation AS (
    SELECT c.oid, c.relname, c.relkind, c.relowner, c.relacl, c.reloptions, c.relispartition, c.relpersistence,
           c.relrowsecurity, c.relforcerowsecurity,
           CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view'
                          WHEN 'm' THEN 'materialized view' ELSE 'relation of kind ' || c.relkind::text END AS kind,
           n.nspname || '.' || c.relname AS name
    FROM pg_catalog.pg_class c JOIN space n ON n.oid = c.relnamespace
    WHERE c.relkind NOT IN ('i', 'I', 't', 'c')
      AND c.relname <> 'schema_migrations'
      AND NOT (c.relispartition AND c.relname ~ '_p[0-9]{8}$')
), routine AS (
    SELECT p.oid, p.proowner, p.proacl, n.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' AS name
    FROM pg_catalog.pg_proc p JOIN space n ON n.oid = p.pronamespace
), line (object_rank, object, line_rank, line) AS (
    SELECT 0, 'schema', 0, format('schema %s owner %s', nspname, pg_get_userbyid(nspowner)) FROM space
    UNION ALL
    SELECT 0, 'schema', 1, format('  grant %s to %s', string_agg(g.privilege_type, ', ' ORDER BY g.privilege_type), g.grantee)
    FROM (SELECT a.privilege_type, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END AS grantee
          FROM space, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) a) g
    GROUP BY g.grantee

    UNION ALL
    SELECT 1, name, 0, concat_ws(' ', kind, name, 'owner', pg_get_userbyid(relowner),
        CASE WHEN relpersistence <> 'p' THEN 'persistence ' || relpersistence::text END,
        CASE WHEN relispartition THEN 'partition of ' || (SELECT i.inhparent::regclass::text FROM pg_catalog.pg_inherits i WHERE i.inhrelid = relation.oid) END,
        (SELECT pg_get_expr(c.relpartbound, c.oid) FROM pg_catalog.pg_class c WHERE c.oid = relation.oid AND c.relpartbound IS NOT NULL),
        CASE WHEN relkind = 'p' THEN 'partitioned by ' || pg_get_partkeydef(oid) END,
        CASE WHEN relrowsecurity THEN 'row level security' END,
        CASE WHEN relforcerowsecurity THEN 'forced' END,
        CASE WHEN reloptions IS NOT NULL THEN 'with (' || array_to_string(ARRAY(SELECT o FROM unnest(reloptions) o ORDER BY o), ', ') || ')' END)
    FROM relation
    UNION ALL
    -- In the order of the table; a partition has its parent's columns.
    SELECT 1, name, 1000 + a.attnum, concat_ws(' ', '  column', a.attname, format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attcollation <> t.typcollation THEN format('collate "%s"', (SELECT collname FROM pg_catalog.pg_collation WHERE oid = a.attcollation)) END,
        CASE WHEN a.attnotnull THEN 'not null' END,
        CASE WHEN a.attidentity <> '' THEN 'identity ' || a.attidentity::text END,
        CASE WHEN a.attgenerated <> '' THEN 'generated as' WHEN d.oid IS NOT NULL THEN 'default' END,
        pg_get_expr(d.adbin, d.adrelid))
    FROM relation
    JOIN pg_catalog.pg_attribute a ON a.attrelid = relation.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE NOT relispartition AND relkind <> 'S'
    UNION ALL
    SELECT 1, name, 3000, '  ' || concat_ws(' ', format_type(s.seqtypid, NULL), 'start', s.seqstart, 'increment', s.seqincrement,
        'min', s.seqmin, 'max', s.seqmax, 'cache', s.seqcache, CASE WHEN s.seqcycle THEN 'cycle' END)
    FROM relation JOIN pg_catalog.pg_sequence s ON s.seqrelid = relation.oid
    UNION ALL
    SELECT 1, name, 3000, '  as ' || pg_get_viewdef(oid) FROM relation WHERE relkind IN ('v', 'm')
    UNION ALL
    -- NOT NULL is said with its column; from PostgreSQL 18 on it is a constraint too.
    SELECT 1, name, 4000, format('  constraint %s %s', c.conname, pg_get_constraintdef(c.oid))
    FROM relation JOIN pg_catalog.pg_constraint c ON c.conrelid = relation.oid AND c.contype <> 'n'
    WHERE NOT relispartition OR c.conislocal
    UNION ALL
    SELECT 1, name, 5000, '  ' || pg_get_indexdef(i.indexrelid) || CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END
    FROM relation JOIN pg_catalog.pg_index i ON i.indrelid = relation.oid
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint c WHERE c.conindid = i.indexrelid)
    UNION ALL
    SELECT 1, name, 6000, '  ' || concat_ws(' ', CASE WHEN p.polpermissive THEN 'policy' ELSE 'restrictive policy' END, p.polname,
        'for', CASE p.polcmd WHEN '*' THEN 'all' WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update' ELSE 'delete' END,
        'to', array_to_string(ARRAY(SELECT CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r) END FROM unnest(p.polroles) r ORDER BY 1), ', '),
        'using ' || pg_get_expr(p.polqual, p.polrelid), 'with check ' || pg_get_expr(p.polwithcheck, p.polrelid))
    FROM relation JOIN pg_catalog.pg_policy p ON p.polrelid = relation.oid
    UNION ALL
    SELECT 1, name, 7000, '  ' || pg_get_triggerdef(t.oid) || CASE WHEN t.tgenabled = 'O' THEN '' ELSE ' ENABLED ' || t.tgenabled::text END
    FROM relation JOIN pg_catalog.pg_trigger t ON t.tgrelid = relation.oid AND NOT t.tgisinternal
    UNION ALL
    SELECT 1, name, 8000, format('  grant %s to %s', string_agg(g.privilege_type, ', ' ORDER BY g.privilege_type), g.grantee)
    FROM (SELECT r.name, a.privilege_type, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END AS grantee
          FROM relation r, aclexplode(coalesce(r.relacl, acldefault(CASE r.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", r.relowner))) a
          WHERE a.grantee <> r.relowner) g
    GROUP BY g.name, g.grantee
    UNION ALL
    SELECT 1, name, 8001, format('  grant %s (%s) to %s', g.privilege_type, string_agg(g.attname, ', ' ORDER BY g.attname), g.grantee)
    FROM (SELECT r.name, t.attname, a.privilege_type, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END AS grantee
          FROM relation r JOIN pg_catalog.pg_attribute t ON t.attrelid = r.oid AND NOT t.attisdropped, aclexplode(t.attacl) a) g
    GROUP BY g.name, g.privilege_type, g.grantee

    UNION ALL
    SELECT 2, routine.name, 0, concat_ws(' ', 'routine', routine.name, 'owner', pg_get_userbyid(proowner)) FROM routine
    UNION ALL
    SELECT 2, routine.name, 1, '  grant EXECUTE to ' || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END
    FROM routine, aclexplode(coalesce(proacl, acldefault('f', proowner))) a WHERE a.grantee <> proowner
    UNION ALL
    SELECT 2, routine.name, 2, regexp_replace(rtrim(pg_get_functiondef(routine.oid), E'\n'), '^', '  ', 'gn') FROM routine

    UNION ALL
    -- Enums, domains and ranges: named here so that none appears unseen.
    SELECT 3, n.nspname || '.' || t.typname, 0, format('type %s.%s of kind %s owner %s', n.nspname, t.typname, t.typtype, pg_get_userbyid(t.typowner))
    FROM pg_catalog.pg_type t JOIN space n ON n.oid = t.typnamespace WHERE t.typtype IN ('e', 'd', 'r', 'm')
)
SELECT object::text, line::text FROM line ORDER BY object_rank, object COLLATE "C", line_rank, line COLLATE "C"
