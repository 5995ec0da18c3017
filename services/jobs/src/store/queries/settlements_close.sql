-- Closes settlements, and moves on those that have dependents left.
WITH item AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS item (settlement_id, after_job_id)
), closed AS (
    DELETE FROM jobs.job_settlements AS settlement USING item
    WHERE item.after_job_id IS NULL AND settlement.settlement_id = item.settlement_id
)
UPDATE jobs.job_settlements AS settlement SET after_job_id = item.after_job_id
FROM item WHERE item.after_job_id IS NOT NULL AND settlement.settlement_id = item.settlement_id
