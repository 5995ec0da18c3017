-- How many rows the tables have that were not counted today, and the mark that each was past when it was counted last.
SELECT
    estimate.table_name AS "table_name!", bool_or(estimate.is_partitioned) AS "is_partitioned!", sum(estimate.rows)::int8 AS "rows!",
    today.day AS "day!", clock_timestamp() AS "now!",
    (
        SELECT count.mark FROM jobs.table_row_counts AS count
        WHERE count.table_name = estimate.table_name AND count.day < today.day ORDER BY count.day DESC LIMIT 1
    ) AS "mark_before?"
FROM jobs.row_estimates() AS estimate
CROSS JOIN (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS day) AS today
WHERE NOT EXISTS (
    SELECT FROM jobs.table_row_counts AS known WHERE known.table_name = estimate.table_name AND known.day = today.day
)
GROUP BY estimate.table_name, today.day
