-- What an owner has set for a project, and every change of it.
--
-- Two of the settings live in project_slots as well: the limit of running jobs and the weight are read by the claim, under
-- the lock that it takes anyway, so that a limit holds exactly and costs no further statement.

ALTER TABLE jobs.project_slots
    -- NULL: as configuration has it.
    ADD COLUMN running_max integer,
    ADD COLUMN weight integer,
    ADD CONSTRAINT project_limits_are_positive CHECK (running_max >= 1 AND weight >= 1);

CREATE TABLE jobs.project_settings (
    tenant_id               text        COLLATE "C" NOT NULL,
    project_id              text        COLLATE "C" NOT NULL,
    -- How often they were changed: project_changes has as many rows.
    version                 bigint      NOT NULL,
    running_max             integer,
    weight                  integer,
    queue_soft              bigint,
    queue_hard              bigint,
    tokens_per_day_max      bigint,
    cost_micros_per_day_max bigint,
    -- Policies by intent. Replaced and read whole, so no table of its own: nothing asks for one of them.
    intents                 jsonb       NOT NULL,
    updated_at              timestamptz NOT NULL,
    updated_by              text        COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, project_id),
    CONSTRAINT project_version_counts_changes CHECK (version >= 1),
    CONSTRAINT project_settings_are_in_range CHECK (
        running_max BETWEEN 1 AND 1000000 AND weight BETWEEN 1 AND 10000 AND queue_soft BETWEEN 1 AND 1000000
        AND queue_hard BETWEEN 1 AND 1000000 AND queue_soft <= queue_hard AND tokens_per_day_max >= 1 AND cost_micros_per_day_max >= 1
    ),
    CONSTRAINT project_intents_have_names CHECK (jsonb_typeof(intents) = 'object')
);
-- Each instance keeps a copy in memory, and asks for what has changed since it last did.
CREATE INDEX project_settings_by_change ON jobs.project_settings (updated_at);

CREATE TABLE jobs.project_changes (
    tenant_id   text        COLLATE "C" NOT NULL,
    project_id  text        COLLATE "C" NOT NULL,
    -- The version that the change made; the row before it has what was there before.
    version     bigint      NOT NULL,
    -- All of the settings from then on, in the form of the service's domain.
    settings    jsonb       NOT NULL,
    actor_id    text        COLLATE "C" NOT NULL,
    -- Under which the actor was allowed to change them.
    role        text        COLLATE "C" NOT NULL,
    changed_at  timestamptz NOT NULL,
    request_id  text        NOT NULL,
    traceparent text        NOT NULL,
    PRIMARY KEY (tenant_id, project_id, version),
    CONSTRAINT project_change_has_a_version CHECK (version >= 1)
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['project_settings', 'project_changes'] LOOP
        EXECUTE format('ALTER TABLE jobs.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE jobs.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format($p$
            CREATE POLICY tenant_scope ON jobs.%I TO holdfast_jobs_app
            USING (tenant_id = ANY ((SELECT string_to_array(current_setting('holdfast.tenants', true), ','))::text[]))
            WITH CHECK (tenant_id = ANY ((SELECT string_to_array(current_setting('holdfast.tenants', true), ','))::text[]))
        $p$, name);
    END LOOP;
END $$;
CREATE POLICY background ON jobs.project_settings FOR SELECT TO holdfast_jobs_task USING (true);
GRANT SELECT, INSERT, UPDATE ON jobs.project_settings TO holdfast_jobs_app;
GRANT SELECT, INSERT ON jobs.project_changes TO holdfast_jobs_app;
GRANT SELECT ON jobs.project_settings TO holdfast_jobs_task;
CREATE TRIGGER project_changes_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON jobs.project_changes
    FOR EACH STATEMENT EXECUTE FUNCTION jobs.refuse_change();
