-- Under which entry the outbox knows these events of a tenant now; without a row where their slot has been emptied.
SELECT event.outbox_id, event.stream_ms, event.stream_seq
FROM jobs.outbox AS event
WHERE event.slot = ANY ('{0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15}'::smallint[]) AND event.outbox_id = ANY ($2::uuid[])
    AND event.tenant_id = $1
