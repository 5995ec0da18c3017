-- Which of these stream entries the outbox does not know under that id: rows that are unpublished, or that were published
-- again elsewhere. An entry whose row is gone was published long ago, and is not among them.
SELECT entry.n AS n
FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS entry (outbox_id, ms, seq, n)
CROSS JOIN LATERAL (
    SELECT FROM {schema}.outbox
    WHERE slot = ANY ('{0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15}'::smallint[]) AND outbox.outbox_id = entry.outbox_id
        AND (outbox.stream_ms IS DISTINCT FROM entry.ms OR outbox.stream_seq IS DISTINCT FROM entry.seq)
    LIMIT 1
) AS disagreeing
