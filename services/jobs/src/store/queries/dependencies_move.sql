-- Whoever a failed job blocks waits for the one that does it anew. The rows are locked in the order in which
-- dependencies_delete.sql locks them, so that the two cannot wait for each other in a circle.
WITH moved AS MATERIALIZED (
    SELECT open.job_id, open.depends_on, item.anew
    FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS item (old, anew, tenant_id)
    JOIN jobs.job_dependencies AS open
        ON open.depends_on = item.old AND open.tenant_id = item.tenant_id AND open.on_failure = 'block'
    ORDER BY open.job_id, open.depends_on
    FOR UPDATE OF open
)
UPDATE jobs.job_dependencies AS open SET depends_on = moved.anew
FROM moved
WHERE open.job_id = moved.job_id AND open.depends_on = moved.depends_on
RETURNING open.depends_on AS anew
