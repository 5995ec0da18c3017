INSERT INTO locks.lock_instances (instance_id, expires_at)
VALUES ($1, clock_timestamp() + $2::int8 * interval '1 millisecond')
ON CONFLICT (instance_id) DO UPDATE SET expires_at = clock_timestamp() + $2::int8 * interval '1 millisecond'
