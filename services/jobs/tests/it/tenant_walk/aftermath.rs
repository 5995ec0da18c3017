//! The rows of each tenant, as the superuser whom no policy binds reads them: what the models say, and not a row beside it.

use std::collections::BTreeMap;

use anyhow::Result;
use pb::JobState;

use super::Walk;
use super::model::{Job, Use};
use super::side::Side;
use crate::support::*;

/// What is looked at below; a table that is not among these fails the test.
const TABLES: [&str; 20] = [
    "approvals",
    "budget_usage",
    "idempotency_heads",
    "idempotency_ledger",
    "job_delayed",
    "job_dependencies",
    "job_events",
    "job_holds",
    "job_leases",
    "job_queue",
    "job_settlements",
    "job_usage",
    "job_waits",
    "jobs",
    "model_usage",
    "outbox",
    "project_changes",
    "project_intake",
    "project_settings",
    "project_slots",
];

fn state_name(state: JobState) -> String {
    state.as_str_name().trim_start_matches("JOB_STATE_").to_lowercase()
}

impl Walk {
    pub async fn check_rows(&self) -> Result<()> {
        let pool = self.world.db.admin();
        assert_eq!(rows::tables(pool).await?, TABLES, "this walk does not know a table: say what its rows must be");
        for (table, count) in rows::counts(pool).await? {
            let mut of_both = 0;
            for side in &self.sides {
                of_both += rows::of_tenant(pool, &table, &side.tenant).await?;
            }
            assert_eq!(count, of_both, "{table} holds rows of nobody");
        }
        for side in &self.sides {
            self.check_jobs(side).await?;
            self.check_dispatch(side).await?;
            self.check_approvals(side).await?;
            self.check_usage(side).await?;
            self.check_projects(side).await?;
            self.check_keys(side).await?;
        }
        Ok(())
    }

    /// Rows of one tenant.
    pub(super) async fn rows<R>(&self, side: &Side, statement: &'static str) -> Result<Vec<R>>
    where
        R: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
    {
        Ok(sqlx::query_as(statement).bind(side.tenant.as_str()).fetch_all(self.world.db.admin()).await?)
    }

    async fn check_jobs(&self, side: &Side) -> Result<()> {
        type Row = (String, String, String, String, String, String, i64, i32, Vec<u8>, Option<Vec<u8>>);
        let jobs: Vec<Row> = self
            .rows(
                side,
                "SELECT job_id::text, project_id, intent, actor_id, idempotency_key, state, seq, attempt, payload, result \
                 FROM jobs.jobs WHERE tenant_id = $1 ORDER BY job_id",
            )
            .await?;
        let expected = |(job_id, job): (&String, &Job)| -> Row {
            let Job { key, payload, states, attempt, result, .. } = job.clone();
            let (state, seq) = (state_name(job.state()), states.len() as i64);
            let result = result.map(String::into_bytes);
            let payload = payload.into_bytes();
            (job_id.clone(), key.project, key.intent, key.actor, key.name, state, seq, attempt, payload, result)
        };
        assert_eq!(jobs, side.model.jobs.iter().map(expected).collect::<Vec<_>>());

        let moves = || {
            let jobs = side.model.jobs.iter();
            jobs.flat_map(|(job_id, job)| {
                (1..).zip(&job.states).map(move |(seq, state)| (job_id.clone(), seq, state_name(*state)))
            })
        };
        let history: Vec<(String, i64, String)> = self
            .rows(
                side,
                "SELECT job_id::text, seq, to_state FROM jobs.job_events WHERE tenant_id = $1 ORDER BY job_id, seq",
            )
            .await?;
        assert_eq!(history, moves().collect::<Vec<_>>());
        let events: Vec<(String, i64, String)> = self
            .rows(
                side,
                "SELECT ordering_key, key_seq, event_name FROM jobs.outbox WHERE tenant_id = $1 \
                 ORDER BY ordering_key, key_seq",
            )
            .await?;
        let named = moves().map(|(job_id, seq, state): (String, i64, String)| (job_id, seq, format!("job.{state}")));
        let changes = side.model.weights.iter().flat_map(|(project, weights)| {
            let key = format!("project:{}/{project}", side.tenant);
            (1..=weights.len() as i64).map(move |version| (key.clone(), version, "project.settings_changed".to_owned()))
        });
        assert_eq!(events, named.chain(changes).collect::<Vec<_>>());
        Ok(())
    }

    /// Every live job stands in one of the small tables.
    async fn check_dispatch(&self, side: &Side) -> Result<()> {
        let queued: Vec<(String,)> =
            self.rows(side, "SELECT job_id::text FROM jobs.job_queue WHERE tenant_id = $1 ORDER BY job_id").await?;
        let delayed: Vec<(String,)> =
            self.rows(side, "SELECT job_id::text FROM jobs.job_delayed WHERE tenant_id = $1 ORDER BY job_id").await?;
        for (rows, state) in [(queued, JobState::Queued), (delayed, JobState::Retrying)] {
            let rows: Vec<String> = rows.into_iter().map(|(job_id,)| job_id).collect();
            assert_eq!(rows, side.model.in_state(state));
        }
        let leases: Vec<(String, String, i64)> = self
            .rows(
                side,
                "SELECT job_id::text, lease_id::text, fence FROM jobs.job_leases WHERE tenant_id = $1 ORDER BY job_id",
            )
            .await?;
        let held = side.model.leases().into_iter();
        let expected: Vec<_> = held.map(|lease| (lease.job_id, lease.lease_id, lease.fencing_token as i64)).collect();
        assert_eq!(leases, expected);
        Ok(())
    }

    /// One decision a rejected job, and no time of people left running.
    async fn check_approvals(&self, side: &Side) -> Result<()> {
        let statement =
            "SELECT job_id::text, number, decision, actor_id FROM jobs.approvals WHERE tenant_id = $1 ORDER BY job_id";
        let approvals: Vec<(String, i32, String, String)> = self.rows(side, statement).await?;
        let rejected = side.model.in_state(JobState::Rejected).into_iter();
        let expected: Vec<_> = rejected.map(|job_id| (job_id, 1, "reject".to_owned(), "olga".to_owned())).collect();
        assert_eq!(approvals, expected);
        let waits: Vec<(String,)> =
            self.rows(side, "SELECT job_id::text FROM jobs.job_waits WHERE tenant_id = $1").await?;
        assert!(waits.is_empty(), "{waits:?}");
        Ok(())
    }

    async fn check_projects(&self, side: &Side) -> Result<()> {
        let (mut submitted, mut taken) = (BTreeMap::new(), BTreeMap::new());
        for (project, weights) in &side.model.weights {
            taken.insert(project.clone(), (0, 0));
            let settings: Vec<(i64, i32)> = sqlx::query_as(
                "SELECT version, weight FROM jobs.project_settings WHERE tenant_id = $1 AND project_id = $2 \
                 UNION ALL SELECT version, (settings->>'weight')::int4 FROM jobs.project_changes \
                 WHERE tenant_id = $1 AND project_id = $2 ORDER BY 1",
            )
            .bind(side.tenant.as_str())
            .bind(project)
            .fetch_all(self.world.db.admin())
            .await?;
            let mut expected: Vec<(i64, i32)> = (1..).zip(weights.iter().copied()).collect();
            expected.extend(expected.last().copied());
            assert_eq!(settings, expected, "the latest stands in both");
        }
        for job in side.model.jobs.values() {
            *submitted.entry(job.key.project.clone()).or_insert(0_i64) += 1;
            let (running, dequeued) = taken.entry(job.key.project.clone()).or_insert((0_i32, 0_i64));
            *running += i32::from(job.state() == JobState::Running);
            *dequeued += i64::from(job.state() != JobState::Queued);
        }
        let intake: Vec<(String, i64)> = self
            .rows(
                side,
                "SELECT project_id, submitted FROM jobs.project_intake WHERE tenant_id = $1 ORDER BY project_id",
            )
            .await?;
        assert_eq!(intake, submitted.into_iter().collect::<Vec<_>>());
        let slots: Vec<(String, i32, i64)> = self
            .rows(
                side,
                "SELECT project_id, running, dequeued FROM jobs.project_slots WHERE tenant_id = $1 ORDER BY project_id",
            )
            .await?;
        let taken = taken.into_iter().map(|(project, (running, dequeued))| (project, running, dequeued));
        assert_eq!(slots, taken.collect::<Vec<_>>());
        Ok(())
    }

    async fn check_keys(&self, side: &Side) -> Result<()> {
        type Head = (String, String, String, String, Option<String>, i64, bool);
        let heads: Vec<Head> = self
            .rows(
                side,
                "SELECT project_id, intent, actor_id, idempotency_key, job_id::text, token, lease_expires_at IS NOT NULL \
                 FROM jobs.idempotency_heads WHERE tenant_id = $1 \
                 ORDER BY project_id, intent, actor_id, idempotency_key",
            )
            .await?;
        type Window = (String, String, String, String, i64, Option<String>, Option<Vec<u8>>);
        let windows: Vec<Window> = self
            .rows(
                side,
                "SELECT project_id, intent, actor_id, idempotency_key, generation, job_id::text, outcome \
                 FROM jobs.idempotency_ledger WHERE tenant_id = $1 \
                 ORDER BY project_id, intent, actor_id, idempotency_key",
            )
            .await?;
        let (mut expected_heads, mut expected_windows): (Vec<Head>, Vec<Window>) = (Vec::new(), Vec::new());
        for (key, known) in side.model.keys.clone() {
            let (job_id, token, is_reserved, outcome) = match known {
                Use::Job { job_id } => (Some(job_id), 0, false, None),
                Use::Reserved { token, .. } => (None, token as i64, true, None),
                Use::Completed { token, outcome, .. } => (None, token as i64, false, Some(outcome.into_bytes())),
            };
            let names = (key.project, key.intent, key.actor, key.name);
            let (project, intent, actor, name) = names.clone();
            expected_heads.push((project, intent, actor, name, job_id.clone(), token, is_reserved));
            let (project, intent, actor, name) = names;
            expected_windows.push((project, intent, actor, name, 1, job_id, outcome));
        }
        assert_eq!(heads, expected_heads);
        assert_eq!(windows, expected_windows);
        Ok(())
    }
}
