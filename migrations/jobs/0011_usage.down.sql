-- Takes what was used with it, as every way down takes what came with the way up; there is none in production. Refused by the
-- constraints while there are jobs in states that earlier versions do not know.
DROP TABLE jobs.model_usage, jobs.job_usage, jobs.budget_usage;
ALTER TABLE jobs.jobs
    DROP CONSTRAINT job_state_is_known,
    ADD CONSTRAINT job_state_is_known CHECK (state IN (
        'queued', 'running', 'retrying', 'done', 'failed', 'timed_out', 'cancelled',
        'waiting_human_decision', 'changes_requested', 'deferred', 'rejected', 'blocked'
    )),
    DROP CONSTRAINT job_ended_when_final,
    ADD CONSTRAINT job_ended_when_final
        CHECK ((state IN ('done', 'failed', 'timed_out', 'cancelled', 'rejected')) = (finished_at IS NOT NULL));
CREATE OR REPLACE FUNCTION jobs.ensure_partitions(weeks_ahead integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    this_week timestamptz := date_trunc('week', clock_timestamp() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
    starts    timestamptz;
    parent    text;
    leaf      text;
    made      integer := 0;
BEGIN
    IF weeks_ahead NOT BETWEEN 1 AND 53 THEN
        RAISE EXCEPTION 'weeks_ahead must be 1 to 53' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOREACH parent IN ARRAY ARRAY['jobs', 'job_events', 'idempotency_ledger', 'approvals'] LOOP
        FOR week IN -1 .. weeks_ahead LOOP
            starts := this_week + make_interval(days => week * 7);
            leaf := format('%s_p%s', parent, to_char(starts AT TIME ZONE 'UTC', 'YYYYMMDD'));
            CONTINUE WHEN to_regclass(format('jobs.%I', leaf)) IS NOT NULL;
            EXECUTE format('CREATE TABLE jobs.%I PARTITION OF jobs.%I FOR VALUES FROM (%L) TO (%L) WITH (%s)',
                leaf, parent, jobs.uuid7_floor(starts), jobs.uuid7_floor(starts + interval '7 days'),
                CASE WHEN parent IN ('job_events', 'approvals') THEN 'fillfactor = 100' ELSE 'fillfactor = 60' END);
            EXECUTE format('ALTER TABLE jobs.%I ENABLE ROW LEVEL SECURITY', leaf);
            EXECUTE format('ALTER TABLE jobs.%I FORCE ROW LEVEL SECURITY', leaf);
            IF parent IN ('job_events', 'approvals') THEN
                EXECUTE format('CREATE TRIGGER %s_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON jobs.%I '
                    'FOR EACH STATEMENT EXECUTE FUNCTION jobs.refuse_change()', parent, leaf);
            END IF;
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;
