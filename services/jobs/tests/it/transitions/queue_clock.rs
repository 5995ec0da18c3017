//! The clock of the queue, look by look, with time that passes only where a case makes it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chrono::{TimeDelta, Utc};
use holdfast_ids::JobId;
use holdfast_jobs::domain::job::{State, StateName, Time};
use holdfast_jobs::domain::payload::Payload;
use holdfast_jobs::domain::transition::{self, Reported};
use holdfast_jobs::store::claim::RunningLimits;
use holdfast_jobs::store::queue_clock::{
    Look, Overdue, Place, Waiting, queue_clock_clear_if_ended, queue_clock_count, queue_overdue_tell,
};
use holdfast_jobs::store::transitions::{Locked, Step, jobs_load, jobs_lock};
use uuid::Uuid;

use super::locked::terms;
use super::oracle::{Asked, Whose};
use super::project::{Project, Store, Terms, agreed, by_id, cause};
use crate::support::run;

const BUDGET_MS: i64 = 1000;
const TTL: Duration = Duration::from_secs(30);
/// What lies between two looks, where a case lets time pass.
const STEP_MS: i64 = 8000;
const GAP_MAX: Duration = Duration::from_secs(60);
/// What a case itself may take from one look to the next.
const SLACK_MS: i64 = 7000;

/// Looks one after the other, as the task takes them.
struct Clock<'s> {
    store: &'s Store,
    running: RunningLimits,
    before: Option<Time>,
}

impl<'s> Clock<'s> {
    fn new(store: &'s Store, running_max: i32) -> Self {
        Self { store, running: RunningLimits { default: running_max, ..RunningLimits::default() }, before: None }
    }

    /// Those that wait for a worker and for nothing else, by what is counted of them.
    async fn look(&mut self) -> Result<BTreeMap<JobId, i64>> {
        let look = Look {
            after: &Place::default(),
            running: &self.running,
            projects_max: 100,
            heads_max: 10,
            jobs_max: 100,
            since: self.before,
            gap_max: GAP_MAX,
            young: Duration::ZERO,
        };
        let mut tx = self.store.task.begin().await?;
        let looked = queue_clock_count(&mut tx, look).await?;
        tx.commit().await?;
        ensure!(looked.next.is_none());
        self.before = looked.at;
        Ok(looked.waiting.iter().map(|job| (job.job_id, job.waited_ms)).collect())
    }

    async fn after(&mut self, ms: i64) -> Result<BTreeMap<JobId, i64>> {
        let passed = "UPDATE jobs.job_queue_clock SET seen_at = seen_at - $1 * interval '1 ms'";
        sqlx::query(passed).bind(ms as f64).execute(self.store.db.admin()).await?;
        self.before = self.before.map(|at| at - TimeDelta::milliseconds(ms));
        self.look().await
    }
}

fn is_about(waited_ms: Option<&i64>, expected_ms: i64) -> Result<()> {
    let waited_ms = *waited_ms.context("it was not looked at")?;
    ensure!((expected_ms..expected_ms + SLACK_MS).contains(&waited_ms), "{waited_ms} ms, not {expected_ms}");
    Ok(())
}

fn fails(project: &Project<'_>, index: usize) -> (usize, Asked) {
    let (code, message) = ("disk_full".to_owned(), "no space left".to_owned());
    let reported = Reported { retryable: true, code, message };
    (index, Asked::Fail(project.jobs[index].presented(Whose::Holders), reported))
}

fn completes(project: &Project<'_>, index: usize) -> (usize, Asked) {
    let result = Payload { data: b"1".as_slice().into(), content_type: "application/json".to_owned() };
    (index, Asked::Complete(project.jobs[index].presented(Whose::Holders), result))
}

#[test]
fn time_counts_between_two_looks_in_a_row() -> Result<()> {
    run(async {
        let store = Store::open().await?;
        let mut project = Project::new(&store, 1);
        project.submit(&terms()).await?;
        let (job_id, mut clock) = (project.jobs[0].job_id(), Clock::new(&store, 1));
        ensure!(clock.look().await?[&job_id] == 0, "nobody has looked before");
        is_about(clock.after(STEP_MS).await?.get(&job_id), STEP_MS)?;
        is_about(clock.after(STEP_MS).await?.get(&job_id), 2 * STEP_MS)?;
        // Nobody looked for an hour.
        is_about(clock.after(3_600_000).await?.get(&job_id), 2 * STEP_MS)?;
        is_about(clock.after(STEP_MS).await?.get(&job_id), 3 * STEP_MS)?;
        // Another instance leads: it does not know what was before its first look.
        let mut other = Clock::new(&store, 1);
        is_about(other.after(STEP_MS).await?.get(&job_id), 3 * STEP_MS)?;
        is_about(other.after(STEP_MS).await?.get(&job_id), 4 * STEP_MS)?;
        // For a moment two lead, and time does not count twice.
        let of_both = (clock.look().await?, other.look().await?);
        is_about(of_both.1.get(&job_id), 4 * STEP_MS)
    })
}

/// Its turn: as many count as there is room for, in the order of leasing.
#[test]
fn the_clock_stands_while_others_of_the_project_come_first() -> Result<()> {
    run(async {
        let store = Store::open().await?;
        let mut project = Project::new(&store, 2);
        for priority in [9, 5, 0] {
            project.submit(&Terms { priority, ..terms() }).await?;
        }
        let ids: Vec<JobId> = project.jobs.iter().map(|oracle| oracle.job_id()).collect();
        let mut clock = Clock::new(&store, 2);
        clock.look().await?;
        let waiting = clock.after(STEP_MS).await?;
        ensure!(waiting.keys().eq([&ids[0], &ids[1]]), "{waiting:?}: there is room for two");
        // One runs: there is room for one.
        ensure!(project.claim(1, TTL).await? == 1);
        let waiting = clock.after(STEP_MS).await?;
        ensure!(waiting.keys().eq([&ids[1]]), "{waiting:?}");
        is_about(waiting.get(&ids[1]), 2 * STEP_MS)?;
        // Two run: it is nobody's turn.
        ensure!(project.claim(1, TTL).await? == 1);
        ensure!(clock.after(STEP_MS).await?.is_empty());
        // Both come back at once. What the clock did not see in the look before has stood still.
        project.ask(&[(0, Asked::Release(project.jobs[0].presented(Whose::Holders)))], 0.0).await?;
        project.ask(&[completes(&project, 1)], 0.0).await?;
        let waiting = clock.after(STEP_MS).await?;
        is_about(waiting.get(&ids[0]), STEP_MS)?;
        is_about(waiting.get(&ids[2]), 0)?;
        is_about(clock.after(STEP_MS).await?.get(&ids[2]), STEP_MS)?;
        project.compare().await
    })
}

/// The clock adds up over the stays of a job, and nothing between them counts.
#[test]
fn a_job_that_comes_back_goes_on_from_where_its_clock_stood() -> Result<()> {
    run(async {
        let store = Store::open().await?;
        let mut project = Project::new(&store, 1);
        project.submit(&terms()).await?;
        let (job_id, mut clock) = (project.jobs[0].job_id(), Clock::new(&store, 1));
        clock.look().await?;
        is_about(clock.after(STEP_MS).await?.get(&job_id), STEP_MS)?;
        // Between two looks it is leased, fails, and is back.
        ensure!(project.claim(1, TTL).await? == 1);
        project.ask(&[fails(&project, 0)], 0.0).await?;
        project.age(TimeDelta::minutes(1)).await?;
        ensure!(project.promote().await? == 1);
        is_about(clock.after(STEP_MS).await?.get(&job_id), STEP_MS)?;
        is_about(clock.after(STEP_MS).await?.get(&job_id), 2 * STEP_MS)?;
        project.compare().await
    })
}

#[test]
fn what_waits_for_anything_else_is_not_looked_at() -> Result<()> {
    run(async {
        let store = Store::open().await?;
        let mut project = Project::new(&store, 8);
        for other in [
            Terms { is_delayed: true, ..terms() },
            Terms { is_dangerous: true, ..terms() },
            Terms { is_blocked: true, ..terms() },
        ] {
            project.submit(&other).await?;
        }
        for _ in 0..2 {
            project.submit(&Terms { priority: 9, ..terms() }).await?;
        }
        ensure!(project.claim(2, TTL).await? == 2);
        // One runs, and one waits for its back-off.
        project.ask(&[fails(&project, 4)], 0.0).await?;
        let mut clock = Clock::new(&store, 8);
        ensure!(clock.look().await?.is_empty());
        project.submit(&terms()).await?;
        ensure!(clock.look().await?.into_keys().eq([project.jobs[5].job_id()]));
        Ok(())
    })
}

impl Project<'_> {
    /// As if the queue budget of each job were used up and its intent asked for its end; answers what became of them.
    async fn overstay(&mut self) -> Result<Vec<StateName>> {
        let mut tx = self.store.task.begin().await?;
        let job_ids: Vec<Uuid> = self.jobs.iter().map(|oracle| oracle.job_id().as_uuid()).collect();
        let locked = jobs_lock(&mut tx, &job_ids, &vec![self.tenant.to_string(); job_ids.len()]).await?;
        let mut loaded = by_id(jobs_load(&mut tx, &locked).await?);
        let mut steps = Vec::new();
        for oracle in &self.jobs {
            let Locked { job, now, .. } = loaded.remove(&oracle.job_id()).context("a job is not there")?;
            let of_oracle = transition::overstay(oracle.job.clone(), BUDGET_MS, now);
            let moved = agreed(of_oracle, transition::overstay(job, BUDGET_MS, now))?;
            let cause = cause("system:queue_clock", None, None)?;
            steps.extend(moved.map(|transition| Step { transition, cause, queued_since: None }));
        }
        self.persist(tx, steps).await?;
        Ok(self.jobs.iter().map(|oracle| oracle.state()).collect())
    }
}

#[test]
fn only_what_a_worker_could_have_is_timed_out_by_its_queue() -> Result<()> {
    use StateName::{Blocked, Cancelled, Done, Queued, Retrying, Running, TimedOut, WaitingHumanDecision};
    run(async {
        let store = Store::open().await?;
        let mut project = Project::new(&store, 8);
        // Its back-off is over.
        project.submit(&terms()).await?;
        ensure!(project.claim(1, TTL).await? == 1);
        project.ask(&[fails(&project, 0)], 0.0).await?;
        project.age(TimeDelta::minutes(1)).await?;
        ensure!(project.promote().await? == 1);
        for _ in 0..3 {
            project.submit(&Terms { priority: 9, ..terms() }).await?;
        }
        ensure!(project.claim(3, TTL).await? == 3);
        project.ask(&[fails(&project, 2)], 0.0).await?;
        project.ask(&[completes(&project, 3)], 0.0).await?;
        for other in [
            terms(),
            Terms { is_delayed: true, ..terms() },
            Terms { is_dangerous: true, ..terms() },
            Terms { is_blocked: true, ..terms() },
            terms(),
        ] {
            project.submit(&other).await?;
        }
        let (reason, key) = ("not needed".to_owned(), "key-1".to_owned());
        project.ask(&[(8, Asked::Cancel { reason, key })], 0.0).await?;
        let ended =
            [TimedOut, Running, Retrying, Done, TimedOut, Queued, WaitingHumanDecision, Blocked, Cancelled].to_vec();
        ensure!(project.overstay().await? == ended);
        project.compare().await?;
        for index in [0, 4] {
            let oracle = &project.jobs[index];
            let State::TimedOut { clock, .. } = &oracle.job.state else { unreachable!("as asserted") };
            ensure!(clock.as_str() == "queue");
            let (last, _) = oracle.history.last().context("a history")?;
            ensure!(last.detail == "queue budget of 1000 ms used up", "{}", last.detail);
        }
        ensure!(project.overstay().await? == ended, "nothing is left to be ended");
        project.compare().await
    })
}

/// Two transactions that both found a job overdue: the second waits for the first, and finds that it was said.
#[test]
fn who_comes_second_has_nothing_to_tell() -> Result<()> {
    run(async {
        let store = Store::open().await?;
        let mut project = Project::new(&store, 2);
        for _ in 0..2 {
            project.submit(&terms()).await?;
        }
        Clock::new(&store, 2).look().await?;
        let overdue: Vec<Overdue> = project
            .jobs
            .iter()
            .map(|oracle| Overdue { facts: oracle.job.facts.clone(), waited_ms: 2, budget_ms: 1, at: Utc::now() })
            .collect();
        let ids: BTreeSet<JobId> = project.jobs.iter().map(|oracle| oracle.job_id()).collect();
        let mut first = store.task.begin().await?;
        ensure!(queue_overdue_tell(&mut first, &overdue).await?.into_iter().collect::<BTreeSet<_>>() == ids);
        let second = async {
            let mut second = store.task.begin().await?;
            let told = queue_overdue_tell(&mut second, &overdue).await?;
            second.commit().await?;
            anyhow::Ok(told)
        };
        let (told, committed) = tokio::join!(second, first.commit());
        committed?;
        ensure!(told?.is_empty(), "told twice");
        // One that was not committed was not said.
        let again = "UPDATE jobs.job_queue_clock SET told = false";
        sqlx::query(again).execute(store.db.admin()).await?;
        let mut lost = store.task.begin().await?;
        ensure!(queue_overdue_tell(&mut lost, &overdue).await?.len() == 2);
        lost.rollback().await?;
        let mut again = store.task.begin().await?;
        ensure!(queue_overdue_tell(&mut again, &overdue).await?.len() == 2);
        Ok(again.commit().await?)
    })
}

/// Looks that take in a few projects and jobs each go on where the one before ended, and leave nobody out.
#[test]
fn small_looks_come_by_every_job() -> Result<()> {
    run(async {
        let store = Store::open().await?;
        let mut all = BTreeSet::new();
        let mut projects = Vec::new();
        for jobs in [1, 3, 2, 0, 3, 1, 1] {
            let mut project = Project::new(&store, 3);
            for _ in 0..jobs {
                project.submit(&terms()).await?;
            }
            all.extend(project.jobs.iter().map(|oracle| oracle.job_id()));
            projects.push(project);
        }
        let running = RunningLimits { default: 3, ..RunningLimits::default() };
        for (projects_max, jobs_max) in [(1, 100), (2, 4), (3, 5), (100, 4), (6, 100), (7, 11)] {
            let (mut after, mut seen, mut looks) = (Place::default(), BTreeSet::new(), 0);
            loop {
                let look = Look {
                    after: &after,
                    running: &running,
                    projects_max,
                    heads_max: 3,
                    jobs_max,
                    since: None,
                    gap_max: GAP_MAX,
                    young: Duration::ZERO,
                };
                let mut tx = store.task.begin().await?;
                let looked = queue_clock_count(&mut tx, look).await?;
                tx.commit().await?;
                ensure!(looked.waiting.len() as i64 <= jobs_max);
                seen.extend(looked.waiting.iter().map(|job: &Waiting| job.job_id));
                looks += 1;
                ensure!(looks < 100, "it comes to no end");
                let Some(next) = looked.next else { break };
                ensure!(next > after, "{next:?} is not behind {after:?}");
                after = next;
            }
            ensure!(seen == all, "{projects_max}, {jobs_max}: {} of {}", seen.len(), all.len());
        }
        Ok(())
    })
}

#[test]
fn rows_of_jobs_that_have_ended_are_cleared_page_by_page() -> Result<()> {
    run(async {
        let store = Store::open().await?;
        let mut project = Project::new(&store, 5);
        for _ in 0..5 {
            project.submit(&terms()).await?;
        }
        Clock::new(&store, 5).look().await?;
        ensure!(project.claim(2, TTL).await? == 2);
        project.ask(&[completes(&project, 0)], 0.0).await?;
        let (reason, key) = ("not needed".to_owned(), "key-1".to_owned());
        project.ask(&[(4, Asked::Cancel { reason, key })], 0.0).await?;
        let (mut after, mut cleared) = (Uuid::nil(), 0);
        for _ in 0..3 {
            let mut tx = store.task.begin().await?;
            let page = queue_clock_clear_if_ended(&mut tx, after, 2).await?;
            tx.commit().await?;
            cleared += page.cleared;
            after = page.last.context("there are rows behind")?;
        }
        ensure!(cleared == 2, "{cleared}");
        let mut left: Vec<Uuid> =
            sqlx::query_scalar("SELECT job_id FROM jobs.job_queue_clock").fetch_all(store.db.admin()).await?;
        left.sort();
        ensure!(left.into_iter().eq(project.jobs[1..4].iter().map(|oracle| oracle.job_id().as_uuid())));
        Ok(())
    })
}
