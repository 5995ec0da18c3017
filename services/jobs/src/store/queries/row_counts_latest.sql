SELECT DISTINCT ON (table_name) table_name, rows FROM jobs.table_row_counts
WHERE day > (clock_timestamp() AT TIME ZONE 'UTC')::date - 30
ORDER BY table_name, day DESC
