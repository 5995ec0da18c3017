-- Entries that an earlier holder, or a call of ours without an answer, added and nobody recorded.
UPDATE {schema}.outbox
SET published_at = clock_timestamp(),
    stream_ms = ($2::bigint[])[array_position($1::uuid[], outbox_id)],
    stream_seq = ($3::bigint[])[array_position($1::uuid[], outbox_id)]
WHERE slot = ANY ('{0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15}'::smallint[]) AND outbox_id = ANY ($1::uuid[])
    AND stream_ms IS NULL
