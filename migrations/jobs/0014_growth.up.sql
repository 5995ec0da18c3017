-- How large the tables have become, day by day, and which partitions are old enough to be archived.
--
-- Nothing is moved or dropped here: archive_queue says what is ready, and whoever archives says so in it. Neither table
-- knows of tenants. Counts are the catalogue's estimates: counting the rows would read a hundred million of them.

ALTER TABLE jobs.jobs
    VALIDATE CONSTRAINT job_classification_is_known,
    VALIDATE CONSTRAINT job_residency_is_known;

-- Functions rather than views, in text: PostgreSQL would write a view down differently from version to version.

-- The instant that an id of version 7 was made: the inverse of uuid7_floor.
CREATE FUNCTION jobs.uuid7_time(id uuid) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT to_timestamp((('x' || lpad(left(replace(id::text, '-', ''), 12), 16, '0'))::bit(64)::bigint) / 1000.0)
$$;

-- The partitions by time, with what their bounds say; a bound, not a name, is what PostgreSQL goes by.
CREATE FUNCTION jobs.time_partitions()
    RETURNS TABLE (table_name text, partition_name text, covers_from timestamptz, covers_to timestamptz)
    LANGUAGE sql STABLE AS $$
    SELECT parent.relname::text, leaf.relname::text, jobs.uuid7_time(bound[1]::uuid), jobs.uuid7_time(bound[2]::uuid)
    FROM pg_catalog.pg_partitioned_table AS kind
    JOIN pg_catalog.pg_class AS parent ON parent.oid = kind.partrelid
    JOIN pg_catalog.pg_namespace AS space ON space.oid = parent.relnamespace AND space.nspname = 'jobs'
    JOIN pg_catalog.pg_inherits AS link ON link.inhparent = parent.oid
    JOIN pg_catalog.pg_class AS leaf ON leaf.oid = link.inhrelid
    CROSS JOIN LATERAL regexp_match(
        pg_catalog.pg_get_expr(leaf.relpartbound, leaf.oid), 'FROM \(''([0-9a-f-]{36})''\) TO \(''([0-9a-f-]{36})''\)'
    ) AS bound
    WHERE kind.partstrat = 'r' AND bound IS NOT NULL
$$;

-- How many rows each relation that holds any has, its partitions one by one. What was never analysed is told by the counts of
-- what was inserted and deleted, which a crash forgets.
CREATE FUNCTION jobs.row_estimates()
    RETURNS TABLE (table_name text, is_partitioned boolean, relation_name text, rows bigint)
    LANGUAGE sql STABLE AS $$
    SELECT
        parent.relname::text, parent.relkind = 'p', leaf.relname::text,
        CASE WHEN leaf.reltuples < 0 THEN pg_catalog.pg_stat_get_live_tuples(leaf.oid) ELSE leaf.reltuples::bigint END
    FROM pg_catalog.pg_class AS parent
    JOIN pg_catalog.pg_namespace AS space ON space.oid = parent.relnamespace AND space.nspname = 'jobs'
    LEFT JOIN pg_catalog.pg_inherits AS link ON link.inhparent = parent.oid
    JOIN pg_catalog.pg_class AS leaf ON leaf.oid = coalesce(link.inhrelid, parent.oid) AND leaf.relkind = 'r'
    WHERE parent.relkind IN ('r', 'p') AND NOT parent.relispartition AND parent.relname <> 'schema_migrations'
$$;

CREATE TABLE jobs.table_row_counts (
    table_name text        COLLATE "C" NOT NULL,
    -- In UTC, by the database's clock.
    day        date        NOT NULL,
    rows       bigint      NOT NULL,
    -- The highest mark that the table was past on that day, by the marks of that day.
    mark       text        COLLATE "C",
    counted_at timestamptz NOT NULL,
    PRIMARY KEY (table_name, day),
    CONSTRAINT row_count_mark_is_known CHECK (mark IN ('preparation', 'activation'))
);

CREATE TABLE jobs.archive_queue (
    partition_name text        COLLATE "C" NOT NULL PRIMARY KEY,
    table_name     text        COLLATE "C" NOT NULL,
    covers_from    timestamptz NOT NULL,
    covers_to      timestamptz NOT NULL,
    rows           bigint      NOT NULL,
    state          text        COLLATE "C" NOT NULL,
    marked_at      timestamptz NOT NULL,
    CONSTRAINT archive_state_is_known CHECK (state IN ('ready')),
    CONSTRAINT archive_covers_a_time CHECK (covers_from < covers_to)
);

REVOKE ALL ON FUNCTION jobs.uuid7_time(uuid), jobs.time_partitions(), jobs.row_estimates() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION jobs.uuid7_time(uuid), jobs.time_partitions(), jobs.row_estimates() TO holdfast_jobs_task;
GRANT SELECT, INSERT ON jobs.table_row_counts, jobs.archive_queue TO holdfast_jobs_task;
