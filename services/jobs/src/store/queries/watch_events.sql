-- Transitions by job and number, each looked for in one tenant: the caller's, or the one that the entry of the stream names.
SELECT
    event.job_id, event.seq, event.event_id, event.from_state, event.to_state, event.attempt, event.fence, event.actor_id,
    event.worker_id, event.detail, event.occurred_at, event.request_id, event.traceparent, event.tenant_id, event.project_id,
    job.intent, item.ordinal AS "ordinal!"
FROM unnest($1::uuid[], $2::bigint[], $3::text[]) WITH ORDINALITY AS item (job_id, seq, tenant_id, ordinal)
JOIN jobs.job_events AS event ON event.job_id = item.job_id AND event.seq = item.seq AND event.tenant_id = item.tenant_id
JOIN jobs.jobs AS job ON job.job_id = item.job_id AND job.tenant_id = item.tenant_id
