-- Partitions whose last row is older than its table keeps them: ready for archive, once each.
INSERT INTO jobs.archive_queue (partition_name, table_name, covers_from, covers_to, rows, state, marked_at)
SELECT part.partition_name, part.table_name, part.covers_from, part.covers_to, coalesce(estimate.rows, 0), 'ready', clock_timestamp()
FROM unnest($1::text[], $2::int8[]) AS kept (table_name, kept_s)
JOIN jobs.time_partitions() AS part ON part.table_name = kept.table_name
LEFT JOIN jobs.row_estimates() AS estimate ON estimate.relation_name = part.partition_name
WHERE part.covers_to <= clock_timestamp() - make_interval(secs => kept.kept_s)
ORDER BY part.partition_name
ON CONFLICT (partition_name) DO NOTHING
RETURNING partition_name, rows
