-- Forgets how long jobs have waited; an earlier version does not ask.
REVOKE DELETE ON jobs.budget_usage FROM holdfast_jobs_task;
DROP TABLE jobs.job_queue_clock;
