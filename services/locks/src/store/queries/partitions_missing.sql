-- The weeks from this one on for which the journal has no partition, up to $1 ahead.
SELECT count(*) AS "missing!"
FROM generate_series(0, $1::int4) AS week
WHERE to_regclass(format(
    'locks.locks_p%s', to_char(date_trunc('week', clock_timestamp() AT TIME ZONE 'UTC') + make_interval(days => week * 7), 'YYYYMMDD')
)) IS NULL
