-- What earlier commands under these keys did, for the repetition of a command whose answer was lost.
SELECT
    item.ordinal AS "ordinal!", event.to_state, event.actor_id, event.command_hash, job.hash_key, event.occurred_at, job.next_attempt_at, job.seq = event.seq AS "is_latest!"
FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY AS item (job_id, command_key, tenant_id, ordinal)
JOIN jobs.job_events AS event
    ON event.job_id = item.job_id AND event.tenant_id = item.tenant_id AND event.command_key = item.command_key AND event.seq > 1
JOIN jobs.jobs AS job ON job.job_id = event.job_id AND job.tenant_id = event.tenant_id
