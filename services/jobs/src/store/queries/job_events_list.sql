SELECT
    event.job_id, event.seq, event.event_id, event.from_state, event.to_state, event.attempt, event.fence, event.actor_id,
    event.worker_id, event.detail, event.occurred_at, event.request_id, event.traceparent, event.project_id
FROM jobs.job_events AS event
WHERE event.job_id = $1 AND event.tenant_id = ANY ($2::text[]) AND event.seq > $3
ORDER BY event.seq
LIMIT $4
