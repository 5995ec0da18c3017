//! The rows, read raw, against the oracles.

use anyhow::{Context as _, Result, ensure};
use holdfast_jobs::domain::job::{Queue, State, StateName, Time};
use holdfast_jobs::domain::transition::{Cause, Transition};
use holdfast_jobs::wire::event::encode;
use sqlx::FromRow;
use uuid::Uuid;

use super::oracle::{Oracle, Place, event_of};
use super::project::Project;

#[derive(Debug, FromRow)]
struct JobRow {
    job_id: Uuid,
    state: String,
    attempt: i32,
    fence: i64,
    seq: i64,
    has_ended: bool,
    result: Option<Vec<u8>>,
    ready_at: Vec<Time>,
    due_at: Vec<Time>,
    lease_ids: Vec<Uuid>,
}

/// A history row and the event beside it; None where one of the two is missing.
#[derive(Debug, FromRow)]
struct EventRow {
    job_id: Option<Uuid>,
    seq: Option<i64>,
    event_id: Option<Uuid>,
    from_state: Option<String>,
    to_state: Option<String>,
    attempt: Option<i32>,
    fence: Option<i64>,
    command_key: Option<String>,
    detail: Option<String>,
    occurred_at: Option<Time>,
    key_seq: Option<i64>,
    event_name: Option<String>,
    event_payload: Option<Vec<u8>>,
}

const JOBS: &str = "SELECT job_id, state, attempt, fence, seq, finished_at IS NOT NULL AS has_ended, result, \
     ARRAY (SELECT ready_at FROM jobs.job_queue AS queue WHERE queue.job_id = job.job_id) AS ready_at, \
     ARRAY (SELECT due_at FROM jobs.job_delayed AS delayed WHERE delayed.job_id = job.job_id) AS due_at, \
     ARRAY (SELECT lease.lease_id FROM jobs.job_leases AS lease WHERE lease.job_id = job.job_id) AS lease_ids \
     FROM jobs.jobs AS job WHERE tenant_id = $1";

const EVENTS: &str = "SELECT history.job_id, history.seq, history.event_id, history.from_state, history.to_state, \
     history.attempt, history.fence, history.command_key, history.detail, history.occurred_at, \
     outbox.key_seq, outbox.event_name, outbox.event_payload \
     FROM (SELECT * FROM jobs.job_events WHERE tenant_id = $1) AS history \
     FULL JOIN (SELECT * FROM jobs.outbox WHERE tenant_id = $1) AS outbox \
     ON outbox.outbox_id = history.event_id AND outbox.ordering_key = history.job_id::text \
     ORDER BY history.job_id, history.seq";

impl Project<'_> {
    /// Everything that the tables say, and nothing more, is what the oracles say.
    pub async fn compare(&self) -> Result<()> {
        let mut loaded = self.loaded().await?;
        for oracle in &self.jobs {
            let loaded = loaded.remove(&oracle.job_id()).context("a job is not there")?;
            let expected = oracle.as_loaded();
            ensure!(loaded.job == expected, "loaded as {:?}, but it is {expected:?}", loaded.job);
        }
        self.compare_jobs().await?;
        self.compare_events().await?;
        self.compare_counts().await
    }

    async fn compare_jobs(&self) -> Result<()> {
        let rows: Vec<JobRow> =
            sqlx::query_as(JOBS).bind(self.tenant.as_str()).fetch_all(self.store.db.admin()).await?;
        ensure!(rows.len() == self.jobs.len(), "{} rows for {} jobs", rows.len(), self.jobs.len());
        for oracle in &self.jobs {
            let row = rows.iter().find(|row| row.job_id == oracle.job_id().as_uuid()).context("no row")?;
            compare_job(oracle, row).with_context(|| format!("{row:?}"))?;
        }
        Ok(())
    }

    /// One history row and one event for each transition, and none beside them.
    async fn compare_events(&self) -> Result<()> {
        let rows: Vec<EventRow> =
            sqlx::query_as(EVENTS).bind(self.tenant.as_str()).fetch_all(self.store.db.admin()).await?;
        let expected: usize = self.jobs.iter().map(|oracle| oracle.history.len() + 1).sum();
        ensure!(rows.len() == expected, "{} rows of history and events, for {expected} transitions", rows.len());
        for oracle in &self.jobs {
            let mut own = rows.iter().filter(|row| row.job_id == Some(oracle.job_id().as_uuid()));
            let first = own.next().context("a job without a submission")?;
            let submission = (first.seq, first.key_seq, first.from_state.as_deref(), first.event_name.as_deref());
            let first_state =
                oracle.history.first().map_or(oracle.state(), |(moved, _)| moved.from.unwrap_or(oracle.state()));
            let named = format!("job.{}", first_state.as_str());
            ensure!(submission == (Some(1), Some(1), None, Some(named.as_str())), "it begins with {first:?}");
            for (transition, cause) in &oracle.history {
                let row = own.next().context("a transition without its row")?;
                compare_event(transition, cause, row).with_context(|| format!("{transition:?} stands as {row:?}"))?;
            }
            ensure!(own.next().is_none(), "history that never happened");
        }
        Ok(())
    }

    async fn compare_counts(&self) -> Result<()> {
        let sql = "SELECT slots.running, intake.submitted - slots.dequeued, intake.infra_submitted - slots.infra_dequeued \
             FROM jobs.project_slots AS slots JOIN jobs.project_intake AS intake USING (tenant_id, project_id) \
             WHERE slots.tenant_id = $1";
        let counts: (i32, i64, i64) =
            sqlx::query_as(sql).bind(self.tenant.as_str()).fetch_one(self.store.db.admin()).await?;
        let count = |counts: fn(&Oracle) -> bool| self.jobs.iter().filter(|oracle| counts(oracle)).count();
        let is_ahead = |oracle: &Oracle| oracle.state() == StateName::Queued || waits_elsewhere(oracle.state());
        let waits = |oracle: &Oracle, queue| is_ahead(oracle) && oracle.job.facts.queue == queue;
        let running = count(|oracle| oracle.state() == StateName::Running) as i32;
        let depth = |queue| self.jobs.iter().filter(|oracle| waits(oracle, queue)).count() as i64;
        let expected = (running, depth(Queue::Project), depth(Queue::Infra));
        ensure!(counts == expected, "running, depth, infra depth are {counts:?} and not {expected:?}");
        Ok(())
    }
}

/// For people, or for other jobs.
fn waits_elsewhere(state: StateName) -> bool {
    use StateName::{Blocked, ChangesRequested, Deferred, WaitingHumanDecision};
    matches!(state, Blocked | ChangesRequested | Deferred | WaitingHumanDecision)
}

fn compare_job(oracle: &Oracle, row: &JobRow) -> Result<()> {
    let (state, progressed) = (&oracle.job.state, &oracle.job.progressed);
    ensure!(row.state == state.name().as_str(), "it is {}", state.name().as_str());
    ensure!((row.seq, row.attempt, row.fence) == (progressed.seq, progressed.attempt, progressed.fence));
    ensure!(row.seq == oracle.history.len() as i64 + 1, "there were {} transitions", oracle.history.len());
    ensure!(row.has_ended == state.name().is_final());
    let (mut ready_at, mut due_at, mut lease_ids) = (vec![], vec![], vec![]);
    match (oracle.place, state) {
        (Place::Queue { ready_at: at }, _) => ready_at.push(at),
        (Place::Delayed { due_at: at }, _) => due_at.push(at),
        (Place::Leases, State::Running(lease)) => lease_ids.push(lease.lease_id.as_uuid()),
        _ => {
            let has_none = state.name().is_final() || waits_elsewhere(state.name());
            ensure!(has_none, "a job that has not ended has a place in dispatch");
        }
    }
    ensure!((&row.ready_at, &row.due_at, &row.lease_ids) == (&ready_at, &due_at, &lease_ids), "{:?}", oracle.place);
    let result = match state {
        State::Done { result, .. } => Some(result.data.to_vec()),
        _ => None,
    };
    ensure!(row.result == result, "the result is {result:?}");
    Ok(())
}

fn compare_event(transition: &Transition, cause: &Cause, row: &EventRow) -> Result<()> {
    let progressed = &transition.after.progressed;
    ensure!((row.seq, row.key_seq) == (Some(progressed.seq), Some(progressed.seq)), "number {}", progressed.seq);
    ensure!(row.from_state.as_deref() == transition.from.map(StateName::as_str));
    ensure!(row.to_state.as_deref() == Some(transition.after.state.name().as_str()));
    ensure!((row.attempt, row.fence) == (Some(progressed.attempt), Some(progressed.fence)));
    ensure!(row.command_key.as_ref() == cause.command.as_ref().map(|command| &command.key));
    ensure!((row.detail.as_ref(), row.occurred_at) == (Some(&transition.detail), Some(transition.occurred_at)));

    let (name, message) = event_of(&transition.said);
    let stored = row.event_payload.as_deref().context("no event")?;
    let event = holdfast_events::decode(stored)?;
    let carried = event.data.as_ref().context("an event without data")?;
    ensure!(row.event_name.as_deref() == Some(name) && event.event_name == name, "the event is {name}");
    ensure!(carried.type_url.ends_with(&format!(".{message}")), "{} instead of {message}", carried.type_url);
    let said = encode(transition, cause, row.event_id.context("no event id")?);
    ensure!(stored == said, "another event than the transition's");
    Ok(())
}
