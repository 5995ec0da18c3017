-- The history keeps hashes of commands, by which repetitions are known, and cannot be erased. A hash of few possible contents gives
-- them away, so that of sensitive jobs it is kept under a key: random, a job's own, and erased with the job, after which the
-- hashes say nothing. NULL for all other jobs.
ALTER TABLE jobs.jobs ADD COLUMN hash_key bytea;
