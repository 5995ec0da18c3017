-- How the jobs stand whose leases were not renewed, each in the tenants and projects of its own caller only; and whether
-- the lease holds all the same: then somebody else had it locked.
SELECT
    item.ordinal AS "ordinal!", job.state AS "state!",
    EXISTS (
        SELECT FROM jobs.job_leases AS lease
        WHERE lease.job_id = item.job_id AND lease.tenant_id = job.tenant_id AND lease.lease_id = item.lease_id
            AND lease.fence = item.fence AND lease.expires_at > clock_timestamp()
    ) AS "holds!"
FROM unnest($1::uuid[], $2::uuid[], $3::int8[], $4::text[], $5::text[]) WITH ORDINALITY
    AS item (job_id, lease_id, fence, tenants, projects, ordinal)
JOIN jobs.jobs AS job ON job.job_id = item.job_id AND job.tenant_id = ANY (string_to_array(item.tenants, ','))
WHERE item.projects = '' OR job.project_id = ANY (string_to_array(item.projects, ','))
