ALTER TABLE jobs.jobs DROP COLUMN hash_key;
