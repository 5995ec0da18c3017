-- The weekly partitions of the past 14 weeks, as jobs.ensure_partitions() made each in its week; packed, as they are once
-- nothing in them changes any more.
DO $$
DECLARE
    this_week timestamptz := date_trunc('week', clock_timestamp() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
    starts    timestamptz;
    parent    text;
    leaf      text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['jobs', 'job_events', 'idempotency_ledger', 'approvals'] LOOP
        FOR week IN -14 .. -2 LOOP
            starts := this_week + make_interval(days => week * 7);
            leaf := format('%s_p%s', parent, to_char(starts AT TIME ZONE 'UTC', 'YYYYMMDD'));
            CONTINUE WHEN to_regclass(format('jobs.%I', leaf)) IS NOT NULL;
            EXECUTE format('CREATE TABLE jobs.%I PARTITION OF jobs.%I FOR VALUES FROM (%L) TO (%L) WITH (fillfactor = 100)',
                leaf, parent, jobs.uuid7_floor(starts), jobs.uuid7_floor(starts + interval '7 days'));
            EXECUTE format('ALTER TABLE jobs.%I ENABLE ROW LEVEL SECURITY', leaf);
            EXECUTE format('ALTER TABLE jobs.%I FORCE ROW LEVEL SECURITY', leaf);
        END LOOP;
    END LOOP;
END $$;
