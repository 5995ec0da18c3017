-- The clock of the queue, counted on for jobs that were found where it runs at $4, given in the order of their ids.
--
-- Time is added between two looks in a row that both found the job in the same stay: the one before was at $5 or later. Further
-- apart than $6 nobody was looking, and nothing is added: in doubt the clock stands still.
INSERT INTO jobs.job_queue_clock AS clock (job_id, tenant_id, waited_ms, seen_at, ready_at, told)
SELECT job_id, tenant_id, 0, $4::timestamptz, ready_at, false
FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS item (job_id, tenant_id, ready_at)
ON CONFLICT (job_id) DO UPDATE SET
    waited_ms = clock.waited_ms + CASE
        WHEN clock.ready_at = excluded.ready_at AND clock.seen_at >= $5::timestamptz
            AND clock.seen_at >= excluded.seen_at - $6::int8 * interval '1 millisecond'
        -- Two leaders for a moment: the later look came first.
        THEN greatest(extract(epoch FROM excluded.seen_at - clock.seen_at) * 1000, 0)::int8
        ELSE 0
    END,
    seen_at = greatest(clock.seen_at, excluded.seen_at),
    ready_at = excluded.ready_at
WHERE clock.tenant_id = excluded.tenant_id
RETURNING clock.job_id, clock.waited_ms, clock.told
