-- Projects whose counts are not those of their jobs: what runs, and what is ahead of it. The depth of a queue is what was submitted
-- less what has left it.
WITH live AS (
    SELECT
        tenant_id, project_id,
        count(*) FILTER (WHERE state = 'running') AS running,
        count(*) FILTER (WHERE queue = 'project' AND state <> 'running') AS depth,
        count(*) FILTER (WHERE queue = 'infra' AND state <> 'running') AS infra_depth
    FROM jobs.jobs
    WHERE state IN ('running', 'queued', 'blocked', 'waiting_human_decision', 'changes_requested', 'deferred')
    GROUP BY tenant_id, project_id
), counted AS (
    SELECT
        tenant_id, project_id, coalesce(slots.running, 0) AS running,
        coalesce(intake.submitted, 0) - coalesce(slots.dequeued, 0) AS depth,
        coalesce(intake.infra_submitted, 0) - coalesce(slots.infra_dequeued, 0) AS infra_depth
    FROM jobs.project_slots AS slots FULL JOIN jobs.project_intake AS intake USING (tenant_id, project_id)
)
SELECT tenant_id, project_id
FROM live FULL JOIN counted USING (tenant_id, project_id)
WHERE (coalesce(live.running, 0), coalesce(live.depth, 0), coalesce(live.infra_depth, 0))
    IS DISTINCT FROM (coalesce(counted.running, 0), coalesce(counted.depth, 0), coalesce(counted.infra_depth, 0))
ORDER BY tenant_id, project_id
