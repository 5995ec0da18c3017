UPDATE jobs.project_slots AS slots SET
    running = live.running,
    dequeued = intake.submitted - live.depth,
    infra_dequeued = intake.infra_submitted - live.infra_depth
FROM jobs.project_intake AS intake, (
    SELECT
        count(*) FILTER (WHERE state = 'running') AS running,
        count(*) FILTER (WHERE queue = 'project' AND state <> 'running') AS depth,
        count(*) FILTER (WHERE queue = 'infra' AND state <> 'running') AS infra_depth
    FROM jobs.jobs
    WHERE tenant_id = $1 AND project_id = $2
        AND state IN ('running', 'queued', 'blocked', 'waiting_human_decision', 'changes_requested', 'deferred')
) AS live
WHERE slots.tenant_id = $1 AND slots.project_id = $2 AND intake.tenant_id = $1 AND intake.project_id = $2
