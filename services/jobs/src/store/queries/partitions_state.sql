-- Of each table that is partitioned by time: the weeks from this one on for which there is no partition, up to $1 ahead, and how
-- many partitions are ready for archive. By the middle of a week, which whoever makes partitions cannot miss by an hour.
SELECT
    parent.relname::text AS "table_name!",
    (
        SELECT count(*) FROM (
            SELECT date_trunc('week', clock_timestamp() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + make_interval(hours => 168 * week + 84) AS middle
            FROM generate_series(0, $1::int4) AS week
        ) AS wanted
        WHERE NOT EXISTS (
            SELECT FROM jobs.time_partitions() AS part
            WHERE part.table_name = parent.relname AND part.covers_from <= wanted.middle AND wanted.middle < part.covers_to
        )
    ) AS "missing!",
    (SELECT count(*) FROM jobs.archive_queue AS queued WHERE queued.table_name = parent.relname AND queued.state = 'ready') AS "ready!"
FROM pg_catalog.pg_partitioned_table AS kind
JOIN pg_catalog.pg_class AS parent ON parent.oid = kind.partrelid
JOIN pg_catalog.pg_namespace AS space ON space.oid = parent.relnamespace AND space.nspname = 'jobs'
WHERE kind.partstrat = 'r'
