UPDATE {schema}.outbox SET retry_count = least(retry_count + 1, 32767)
WHERE slot = ANY ($1::smallint[]) AND outbox_id = ANY ($2::uuid[]) AND stream_ms IS NULL
