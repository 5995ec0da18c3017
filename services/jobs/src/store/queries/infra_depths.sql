-- How many infra jobs wait in each tenant. Summed over its projects: infra changes are few.
SELECT intake.tenant_id, (sum(intake.infra_submitted) - sum(coalesce(slots.infra_dequeued, 0)))::int8 AS "depth!"
FROM jobs.project_intake AS intake
LEFT JOIN jobs.project_slots AS slots USING (tenant_id, project_id)
WHERE intake.tenant_id = ANY ($1::text[])
GROUP BY intake.tenant_id
