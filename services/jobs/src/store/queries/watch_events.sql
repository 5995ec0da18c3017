-- Transitions by job and number, each looked for in one tenant: the caller's, or the one that the entry of the stream names.
-- The history comes first, by its whole key: joined behind the job it would be read from its beginning.
SELECT
    event.job_id, event.seq, event.event_id, event.from_state, event.to_state, event.attempt, event.fence, event.actor_id,
    event.worker_id, event.detail, event.occurred_at, event.request_id, event.traceparent, event.tenant_id, event.project_id,
    job.intent, item.ordinal AS "ordinal!"
FROM unnest($1::uuid[], $2::bigint[], $3::text[]) WITH ORDINALITY AS item (job_id, seq, tenant_id, ordinal)
CROSS JOIN LATERAL (
    SELECT
        history.job_id, history.seq, history.event_id, history.from_state, history.to_state, history.attempt, history.fence,
        history.actor_id, history.worker_id, history.detail, history.occurred_at, history.request_id, history.traceparent,
        history.tenant_id, history.project_id
    FROM jobs.job_events AS history
    WHERE history.job_id = item.job_id AND history.seq = item.seq AND history.tenant_id = item.tenant_id
    LIMIT 1
) AS event
JOIN jobs.jobs AS job ON job.job_id = event.job_id AND job.tenant_id = event.tenant_id
