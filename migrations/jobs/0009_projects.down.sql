-- Takes the settings and their history with it.
DROP TABLE jobs.project_changes, jobs.project_settings;
ALTER TABLE jobs.project_slots DROP CONSTRAINT project_limits_are_positive, DROP COLUMN running_max, DROP COLUMN weight;
