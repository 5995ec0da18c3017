-- Takes the labels with it; there is no way down in production.
ALTER TABLE jobs.jobs DROP COLUMN classification, DROP COLUMN residency;
