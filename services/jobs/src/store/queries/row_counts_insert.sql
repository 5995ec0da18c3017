-- Once a table and day: who comes second, an instance that still thinks it leads, inserts nothing and is told so. In the
-- order of the names, so that two of them never wait for each other.
INSERT INTO jobs.table_row_counts (table_name, day, rows, mark, counted_at)
SELECT table_name, day, rows, mark, counted_at
FROM unnest($1::text[], $2::date[], $3::int8[], $4::text[], $5::timestamptz[]) AS item (table_name, day, rows, mark, counted_at)
ORDER BY table_name
ON CONFLICT (table_name, day) DO NOTHING
RETURNING table_name
