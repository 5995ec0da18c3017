//! Counts how long jobs wait for a worker and for nothing else; of those that have waited for longer than their intent lets them
//! it is said, once, and those whose intent asks for it are timed out.
//!
//! What counts is the time between two looks in a row that have both found a job waiting. So the clock is slow rather than fast: by
//! its first look, and by all the time in which nobody looked.

use std::collections::HashMap;
use std::time::Duration;

use holdfast_fault::Fault;
use holdfast_ids::{ActorId, JobId};
use holdfast_runtime::tasks::Report;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::sweep::persist;
use crate::app::Core;
use crate::domain::job::Time;
use crate::domain::project::QueueTimeout;
use crate::domain::transition::{self, Cause};
use crate::metrics;
use crate::store::StoreError;
use crate::store::queue_clock::{
    Look, Looked, Overdue, OverdueEvent, Place, Waiting, queue_clock_count, queue_overdue_insert, queue_overdue_lock,
    queue_overdue_tell,
};
use crate::store::transitions::{Locked, Step, jobs_load};

const ACTOR: &str = "system:queue_clock";
/// Of one look, and looks of one run.
const PROJECTS_MAX: i64 = 1000;
const JOBS_MAX: i64 = 1000;
const LOOKS_MAX: usize = 20;
/// Of one project: whoever stands behind so many that could be leased before it waits for its turn.
const HEADS_MAX: i64 = 500;
/// A job that is looked at this many runs late was not looked at.
const RUNS_MISSED_MAX: u32 = 3;
const GAP_MIN: Duration = Duration::from_secs(5);

/// How looking goes on from run to run: one pass over all queues may take several.
#[derive(Debug, Default)]
pub(super) struct Walk {
    after: Place,
    /// When the pass under way began, and when the one before did: what neither has seen stood still.
    began_at: Option<Time>,
    began_before_at: Option<Time>,
    /// Runs that ended within the pass under way, and that the one before took.
    runs: u32,
    runs_before: u32,
}

impl Walk {
    /// How long may lie between two looks at the same job. A run that failed is none: the time of an outage is not counted.
    fn gap_max(&self, period: Duration) -> Duration {
        let runs = self.runs.max(self.runs_before).max(1);
        period.saturating_mul(runs.saturating_mul(RUNS_MISSED_MAX)).max(GAP_MIN)
    }

    /// Moves on; answers whether the pass is over.
    fn goes_on(&mut self, next: Option<Place>, at: Option<Time>) -> bool {
        self.began_at = self.began_at.or(at);
        match next {
            Some(place) => {
                self.after = place;
                false
            }
            None => {
                let (began_before_at, runs_before) = (self.began_at, self.runs + 1);
                *self = Self { began_before_at, runs_before, ..Self::default() };
                true
            }
        }
    }
}

pub(super) async fn run_once(core: &Core, period: Duration, walk: &Mutex<Walk>) -> Result<Report, Fault> {
    let (mut walk, mut report) = (walk.lock().await, Report::default());
    for _ in 0..LOOKS_MAX {
        let Looked { waiting, next, at } = core.task_db.bounded(count(core, &walk, period)).await?;
        let over: Vec<Over<'_>> = waiting.iter().filter_map(|job| Over::of(core, job)).collect();
        if !over.is_empty() {
            report.did(core.task_db.bounded(react(core, &over)).await?);
        }
        if walk.goes_on(next, at) {
            return Ok(report);
        }
    }
    walk.runs += 1;
    Ok(report)
}

/// In a transaction of its own: what was counted stays counted, whatever comes of it.
async fn count(core: &Core, walk: &Walk, period: Duration) -> Result<Looked, StoreError> {
    let look = Look {
        after: &walk.after,
        running: &core.limits.running,
        projects_max: PROJECTS_MAX,
        heads_max: HEADS_MAX,
        jobs_max: JOBS_MAX,
        since: walk.began_before_at,
        gap_max: walk.gap_max(period),
        young: period,
    };
    let mut tx = core.task_db.begin().await?;
    let looked = queue_clock_count(&mut tx, look).await?;
    tx.commit().await?;
    Ok(looked)
}

/// A job whose clock has run out, and of which that is news.
struct Over<'a> {
    job: &'a Waiting,
    budget_ms: i64,
    reaction: QueueTimeout,
}

impl<'a> Over<'a> {
    fn of(core: &Core, job: &'a Waiting) -> Option<Self> {
        let terms = core.terms(&job.tenant_id, &job.project_id, &job.intent);
        let budget_ms = terms.queue_budget(job.tier).as_millis() as i64;
        let reaction = terms.on_queue_timeout;
        let is_news = !job.told || reaction == QueueTimeout::TimeOut;
        (job.waited_ms >= budget_ms && is_news).then_some(Self { job, budget_ms, reaction })
    }
}

/// Under the locks of the jobs: what a worker has by now is left alone.
async fn react(core: &Core, over: &[Over<'_>]) -> Result<u64, StoreError> {
    let mut tx = core.task_db.begin().await?;
    let locked = queue_overdue_lock(&mut tx, over.iter().map(|over| over.job)).await?;
    let by_id: HashMap<JobId, &Over<'_>> = over.iter().map(|over| (over.job.job_id, over)).collect();
    let actor_id = ActorId::parse(ACTOR).map_err(|_| StoreError::LostLock)?;
    let (mut steps, mut overdue) = (Vec::new(), Vec::new());
    for Locked { job, now, .. } in jobs_load(&mut tx, &locked).await? {
        let Some(Over { job: waiting, budget_ms, reaction }) = by_id.get(&job.facts.job_id) else { continue };
        match reaction {
            QueueTimeout::TimeOut => {
                let cause = Cause::background(actor_id.clone(), &job.facts);
                let moved = transition::overstay(job, *budget_ms, now);
                steps.extend(moved.map(|transition| Step { transition, cause, queued_since: None }));
            }
            QueueTimeout::Event if job.is_ready(now) => {
                let (waited_ms, budget_ms) = (waiting.waited_ms, *budget_ms);
                overdue.push(Overdue { facts: job.facts, waited_ms, budget_ms, at: now });
            }
            QueueTimeout::Event => {}
        }
    }
    overdue.sort_by_key(|job| job.facts.job_id);
    let untold = queue_overdue_tell(&mut tx, &overdue).await?;
    overdue.retain(|job| untold.contains(&job.facts.job_id));
    let events: Vec<_> = overdue.iter().map(|job| (job, event(core, job))).collect();
    queue_overdue_insert(&mut tx, &events).await?;
    let timed_out: Vec<_> = steps.iter().map(|step| step.transition.after.facts.tier).collect();
    if steps.is_empty() {
        tx.commit().await?;
        if !overdue.is_empty() {
            core.hints.outbox();
        }
    } else {
        persist(core, tx, &steps, ACTOR).await?;
    }
    overdue.iter().for_each(|job| metrics::queue_overdue(job.facts.tier, QueueTimeout::Event));
    timed_out.iter().for_each(|tier| metrics::queue_overdue(*tier, QueueTimeout::TimeOut));
    Ok((overdue.len() + timed_out.len()) as u64)
}

fn event(core: &Core, job: &Overdue) -> OverdueEvent {
    let event_id = Uuid::now_v7();
    // Not the job's own key, whose numbers are those of its transitions.
    let ordering_key = format!("queue_overdue:{}", job.facts.job_id);
    let payload = (core.encode_overdue)(job, event_id, &ordering_key);
    OverdueEvent { event_id, ordering_key, payload }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(5);

    fn place(project: &str) -> Place {
        ("acme".to_owned(), project.to_owned())
    }

    fn at(seconds: u64) -> Option<Time> {
        Some(Time::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn a_pass_of_several_runs_lets_as_many_lie_between_two_looks() {
        let mut walk = Walk::default();
        assert_eq!(walk.gap_max(PERIOD), 3 * PERIOD);
        assert!(!walk.goes_on(Some(place("alpha")), at(1)));
        walk.runs += 1;
        assert!(!walk.goes_on(Some(place("beta")), at(2)));
        walk.runs += 1;
        assert_eq!(walk.began_before_at, None, "there was no pass before");
        assert!(walk.goes_on(None, at(3)));
        assert_eq!((walk.after.clone(), walk.began_before_at), (Place::default(), at(1)));
        assert_eq!(walk.gap_max(PERIOD), 9 * PERIOD);
        assert!(walk.goes_on(None, at(4)));
        assert_eq!(walk.began_before_at, at(4));
        assert_eq!(walk.gap_max(PERIOD), 3 * PERIOD);
        assert_eq!(walk.gap_max(Duration::from_millis(20)), GAP_MIN);
        // Nobody waits: whoever comes has not been seen before.
        assert!(walk.goes_on(None, None));
        assert_eq!(walk.began_before_at, None);
    }
}
