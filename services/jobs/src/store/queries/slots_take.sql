-- Room for jobs that are leased as they are submitted: all that is asked of a project or none, and none where one of its
-- jobs waits, so that nothing is overtaken. In key order, as everything that locks slots. The probe has a limit, which
-- keeps it a probe: as an anti-join it would be planned as a scan of the whole queue.
UPDATE jobs.project_slots AS slots SET running = slots.running + asked.jobs, dequeued = slots.dequeued + asked.jobs
FROM (
    SELECT raw.tenant_id, raw.project_id, raw.jobs, coalesce((
        SELECT own.running_max FROM unnest($5::text[], $6::text[], $7::int4[]) AS own (tenant_id, project_id, running_max)
        WHERE own.tenant_id = raw.tenant_id AND own.project_id = raw.project_id
    ), $4::int4) AS configured_max
    FROM unnest($1::text[], $2::text[], $3::int4[]) AS raw (tenant_id, project_id, jobs)
    ORDER BY raw.tenant_id, raw.project_id
) AS asked
WHERE slots.tenant_id = asked.tenant_id AND slots.project_id = asked.project_id
    AND slots.running + asked.jobs <= coalesce(slots.running_max, asked.configured_max)
    AND (
        SELECT queue.job_id FROM jobs.job_queue AS queue
        WHERE queue.tenant_id = slots.tenant_id AND queue.project_id = slots.project_id LIMIT 1
    ) IS NULL
RETURNING slots.tenant_id, slots.project_id
