-- Instances that have been gone for a minute, and through which nobody waits. One that is just writing a sign of life is left alone.
WITH gone AS MATERIALIZED (
    SELECT instance_id FROM locks.lock_instances
    WHERE expires_at < clock_timestamp() - interval '1 minute'
    ORDER BY instance_id
    FOR UPDATE SKIP LOCKED
)
DELETE FROM locks.lock_instances AS instance
USING gone
WHERE instance.instance_id = gone.instance_id
    AND NOT EXISTS (SELECT FROM locks.lock_leases AS waiting WHERE waiting.instance_id = instance.instance_id OFFSET 0)
