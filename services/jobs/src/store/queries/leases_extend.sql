-- Renews leases whose holder is still the holder, by the database's clock and never beyond the run budget. Waits for
-- nobody: whoever ends a lease holds its job, and others of this batch may be what it waits for.
WITH item AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int8[], $4::text[], $5::int2[], $6::text[], $8::text[])
        AS item (job_id, lease_id, fence, tenants, progress_percent, progress_note, projects)
), held AS MATERIALIZED (
    SELECT item.job_id, item.lease_id, item.progress_percent, item.progress_note FROM item
    CROSS JOIN LATERAL (
        SELECT FROM jobs.job_leases AS lease
        WHERE lease.job_id = item.job_id AND lease.lease_id = item.lease_id AND lease.fence = item.fence
            AND lease.tenant_id = ANY (string_to_array(item.tenants, ','))
            AND (item.projects = '' OR lease.project_id = ANY (string_to_array(item.projects, ',')))
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS lease
)
UPDATE jobs.job_leases AS lease SET
    expires_at = least(clock_timestamp() + $7::int8 * interval '1 millisecond', lease.run_deadline),
    progress_percent = coalesce(held.progress_percent, lease.progress_percent),
    progress_note = coalesce(held.progress_note, lease.progress_note)
FROM held
WHERE lease.job_id = held.job_id AND lease.lease_id = held.lease_id AND lease.expires_at > clock_timestamp()
RETURNING lease.lease_id, lease.fence, lease.expires_at
