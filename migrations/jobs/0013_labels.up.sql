-- What a job's data is and where it may be kept, with the job: whoever reads, exports or archives it has to know.
--
-- Jobs of before have said nothing: they are held as what goes without saying, and bound to no region. Versions that do not
-- know the columns yet write the same. 0014 checks the rows that are there already.
ALTER TABLE jobs.jobs
    ADD COLUMN classification text COLLATE "C" NOT NULL DEFAULT 'internal',
    ADD COLUMN residency text COLLATE "C" NOT NULL DEFAULT 'global',
    ADD CONSTRAINT job_classification_is_known CHECK (classification IN ('public', 'internal', 'sensitive')) NOT VALID,
    ADD CONSTRAINT job_residency_is_known CHECK (residency IN ('US', 'EU', 'global')) NOT VALID;
