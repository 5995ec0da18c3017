DROP FUNCTION jobs.ensure_partitions(integer);
DROP TABLE jobs.project_slots, jobs.project_intake, jobs.job_leases, jobs.job_delayed, jobs.job_queue, jobs.job_events, jobs.jobs;
DROP FUNCTION jobs.refuse_change();
DROP FUNCTION jobs.uuid7_floor(timestamptz);
REVOKE USAGE ON SCHEMA jobs FROM holdfast_jobs_app, holdfast_jobs_task;
