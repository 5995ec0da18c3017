-- Whoever a failed job blocks waits for the one that does it anew. The rows are locked in the order in which
-- dependencies_delete.sql locks them, so that the two cannot wait for each other in a circle. They are found first: in that
-- order they would be looked for in the whole table.
WITH found AS MATERIALIZED (
    SELECT open.job_id, open.depends_on, item.anew
    FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS item (old, anew, tenant_id)
    JOIN jobs.job_dependencies AS open
        ON open.depends_on = item.old AND open.tenant_id = item.tenant_id AND open.on_failure = 'block'
)
UPDATE jobs.job_dependencies AS open SET depends_on = moved.anew
FROM (SELECT job_id, depends_on, anew FROM found ORDER BY job_id, depends_on) AS moved
WHERE open.job_id = moved.job_id AND open.depends_on = moved.depends_on
RETURNING open.depends_on AS anew
