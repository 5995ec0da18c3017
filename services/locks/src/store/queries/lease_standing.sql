-- Whether a lease still holds for its holder, and until when, by the database's clock. Renews nothing.
SELECT stale_at AS "stale_at!", clock_timestamp() AS "now!"
FROM locks.lock_leases
WHERE lease_id = $1 AND tenant_id = $2 AND actor_id = $3 AND state = 'held' AND stale_at > clock_timestamp()
    AND ($4::text[] IS NULL OR project_ids <@ $4::text[])
