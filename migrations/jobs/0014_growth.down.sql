DROP TABLE jobs.archive_queue, jobs.table_row_counts;
DROP FUNCTION jobs.row_estimates(), jobs.time_partitions(), jobs.uuid7_time(uuid);
ALTER TABLE jobs.jobs
    DROP CONSTRAINT job_classification_is_known,
    ADD CONSTRAINT job_classification_is_known CHECK (classification IN ('public', 'internal', 'sensitive')) NOT VALID,
    DROP CONSTRAINT job_residency_is_known,
    ADD CONSTRAINT job_residency_is_known CHECK (residency IN ('US', 'EU', 'global')) NOT VALID;
