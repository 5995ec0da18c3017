-- The resources of a project that somebody has or waits for, in the order of the registry. From the leases, which are as few as what is held and waited for: heads
-- there are of all that was ever locked. Classes that the registry no longer has come last. Asked for by a holder, who only waits does not count.
SELECT found.class AS "class!", found.resource_key AS "resource_key!"
FROM (
    SELECT DISTINCT part.class COLLATE "C" AS class, part.resource_key COLLATE "C" AS resource_key
    FROM locks.lock_leases AS lease
    CROSS JOIN LATERAL unnest(lease.project_ids, lease.classes, lease.resource_keys) WITH ORDINALITY
        AS part (project_id, class, resource_key, ordinal)
    -- All of a tenant: names hold no space, behind which ! is next.
    WHERE lease.whose > $1 || ' ' AND lease.whose < $1 || '!' AND lease.tenant_id = $1 AND part.project_id = $2
        AND ($3::text IS NULL OR part.class = $3)
        AND ($4::text IS NULL OR lease.owner = $4)
        AND ($5::text IS NULL OR lease.actor_id = $5)
        AND (
            lease.state = 'held' OR part.ordinal < lease.standing
            OR ($4::text IS NULL AND $5::text IS NULL AND part.ordinal = lease.standing)
        )
) AS found
LEFT JOIN locks.lock_classes AS registry ON registry.class = found.class
WHERE $6::text IS NULL OR (coalesce(registry.rank, 32767), found.class, found.resource_key) > (
    coalesce((SELECT last.rank FROM locks.lock_classes AS last WHERE last.class = $6), 32767), $6 COLLATE "C", $7::text COLLATE "C"
)
ORDER BY coalesce(registry.rank, 32767), found.class, found.resource_key
LIMIT $8
