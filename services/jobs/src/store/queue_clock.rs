//! The clock of the queue: what it has counted, and what was said of jobs for which it has run out. As the task role.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use holdfast_ids::{Intent, JobId, ProjectId, TenantId};
use holdfast_pg::Tx;
use uuid::Uuid;

use super::StoreError;
use super::claim::RunningLimits;
use super::rows::corrupt;
use super::transitions::LockedIds;
use crate::domain::job::{Facts, Tier, Time};

/// A project, by tenant and name: where a look goes on behind.
pub type Place = (String, String);

/// One look at the queues.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    pub after: &'a Place,
    pub running: &'a RunningLimits,
    /// Projects that are walked; the first jobs of each that are looked at; and jobs in all, which are more than of one project.
    pub projects_max: i64,
    pub heads_max: i64,
    pub jobs_max: i64,
    /// When the look before began; None where there was none: then nothing is added.
    pub since: Option<Time>,
    /// Longer between two looks, and nobody was looking.
    pub gap_max: Duration,
    /// A job that has stood there for less is not looked at yet.
    pub young: Duration,
}

/// A job that waits for a worker and for nothing else.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub job_id: JobId,
    pub tenant_id: TenantId,
    pub project_id: ProjectId,
    pub intent: Intent,
    pub tier: Tier,
    /// Over all its stays.
    pub waited_ms: i64,
    /// Whether it was said that it is overdue.
    pub told: bool,
}

#[derive(Debug)]
pub struct Looked {
    pub waiting: Vec<Waiting>,
    /// Where the next look begins; None behind the last project.
    pub next: Option<Place>,
    /// By the database's clock; None where no queue has a job.
    pub at: Option<Time>,
}

/// A job that was found where its clock runs, and since when it stands there.
struct Head {
    job_id: Uuid,
    place: Place,
    intent: String,
    tier: String,
    ready_at: Time,
}

/// Counts the clock on for those that wait where it runs.
pub async fn queue_clock_count(tx: &mut Tx, look: Look<'_>) -> Result<Looked, StoreError> {
    let rows = sqlx::query_file!(
        "src/store/queries/queue_clock_heads.sql",
        &look.after.0,
        &look.after.1,
        look.running.default,
        &look.running.tenant_ids,
        &look.running.project_ids,
        &look.running.running_max,
        look.projects_max,
        look.heads_max,
        look.jobs_max,
        ms(look.young),
    )
    .fetch_all(&mut **tx)
    .await?;
    let at = rows.first().map(|row| row.now);
    let (mut heads, mut walked) = (Vec::new(), BTreeSet::new());
    for row in rows {
        let place = (row.tenant_id, row.project_id);
        if let (Some(job_id), Some(intent), Some(tier), Some(ready_at)) =
            (row.job_id, row.intent, row.tier, row.ready_at)
        {
            heads.push(Head { job_id, place: place.clone(), intent, tier, ready_at });
        }
        walked.insert(place);
    }
    let next = if heads.len() as i64 >= look.jobs_max {
        // The last of them may have more than were looked at.
        let last = heads.iter().map(|head| &head.place).max();
        walked.into_iter().rfind(|place| last.is_some_and(|last| place < last))
    } else if walked.len() as i64 >= look.projects_max {
        walked.pop_last()
    } else {
        None
    };
    let waiting = match at {
        Some(at) if !heads.is_empty() => count(tx, heads, at, look).await?,
        _ => Vec::new(),
    };
    Ok(Looked { waiting, next, at })
}

async fn count(tx: &mut Tx, mut heads: Vec<Head>, at: Time, look: Look<'_>) -> Result<Vec<Waiting>, StoreError> {
    heads.sort_by_key(|head| head.job_id);
    let job_ids: Vec<Uuid> = heads.iter().map(|head| head.job_id).collect();
    let tenants: Vec<String> = heads.iter().map(|head| head.place.0.clone()).collect();
    let ready: Vec<Time> = heads.iter().map(|head| head.ready_at).collect();
    let rows = sqlx::query_file!(
        "src/store/queries/queue_clock_count.sql",
        &job_ids,
        &tenants,
        &ready,
        at,
        look.since as _,
        ms(look.gap_max),
    )
    .fetch_all(&mut **tx)
    .await?;
    let counted: HashMap<Uuid, (i64, bool)> =
        rows.into_iter().map(|row| (row.job_id, (row.waited_ms, row.told))).collect();
    let waiting = heads.into_iter().filter_map(|head| Some((counted.get(&head.job_id).copied()?, head)));
    waiting
        .map(|((waited_ms, told), Head { job_id, place, intent, tier, .. })| {
            Ok(Waiting {
                job_id: JobId::from_uuid(job_id),
                tenant_id: TenantId::parse(&place.0).map_err(|_| corrupt("job_queue", "tenant_id"))?,
                project_id: ProjectId::parse(&place.1).map_err(|_| corrupt("job_queue", "project_id"))?,
                intent: Intent::parse(&intent).map_err(|_| corrupt("job_queue", "intent"))?,
                tier: Tier::from_name(&tier).ok_or_else(|| corrupt("jobs", "tier"))?,
                waited_ms,
                told,
            })
        })
        .collect()
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Locks jobs that wait for a worker and that nobody moves at this moment.
pub async fn queue_overdue_lock(
    tx: &mut Tx,
    jobs: impl Iterator<Item = &Waiting> + Clone,
) -> Result<LockedIds, StoreError> {
    let job_ids: Vec<Uuid> = jobs.clone().map(|job| job.job_id.as_uuid()).collect();
    let tenants: Vec<String> = jobs.map(|job| job.tenant_id.to_string()).collect();
    let rows =
        sqlx::query_file!("src/store/queries/queue_overdue_lock.sql", &job_ids, &tenants).fetch_all(&mut **tx).await?;
    let (job_ids, tenant_ids) = rows.into_iter().map(|row| (row.job_id, row.tenant_id)).unzip();
    Ok(LockedIds { job_ids, tenant_ids })
}

/// A job that has waited for a worker for longer than it may, and waits on.
#[derive(Debug, Clone)]
pub struct Overdue {
    pub facts: Facts,
    pub waited_ms: i64,
    pub budget_ms: i64,
    pub at: Time,
}

/// Notes that it is said of locked jobs, given in the order of their ids; answers those of which it was not said before.
pub async fn queue_overdue_tell(tx: &mut Tx, jobs: &[Overdue]) -> Result<HashSet<JobId>, StoreError> {
    if jobs.is_empty() {
        return Ok(HashSet::new());
    }
    let job_ids: Vec<Uuid> = jobs.iter().map(|job| job.facts.job_id.as_uuid()).collect();
    let tenants: Vec<String> = jobs.iter().map(|job| job.facts.tenant_id.to_string()).collect();
    let untold =
        sqlx::query_file_scalar!("src/store/queries/queue_overdue_tell.sql", &job_ids, &tenants).fetch_all(&mut **tx);
    Ok(untold.await?.into_iter().map(JobId::from_uuid).collect())
}

/// The event of a job that is overdue.
#[derive(Debug)]
pub struct OverdueEvent {
    pub event_id: Uuid,
    pub ordering_key: String,
    pub payload: Vec<u8>,
}

/// Puts events into the outbox.
pub async fn queue_overdue_insert(tx: &mut Tx, events: &[(&Overdue, OverdueEvent)]) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let text = |text: fn(&Facts) -> &str| -> Vec<String> {
        events.iter().map(|(job, _)| text(&job.facts).to_owned()).collect()
    };
    let event_ids: Vec<Uuid> = events.iter().map(|(_, event)| event.event_id).collect();
    let shards: Vec<i16> =
        events.iter().map(|(_, event)| holdfast_events::shard_of(&event.ordering_key) as i16).collect();
    let keys: Vec<String> = events.iter().map(|(_, event)| event.ordering_key.clone()).collect();
    let payloads: Vec<Vec<u8>> = events.iter().map(|(_, event)| event.payload.clone()).collect();
    let times: Vec<Time> = events.iter().map(|(job, _)| job.at).collect();
    sqlx::query_file!(
        "src/store/queries/queue_overdue_insert.sql",
        &event_ids,
        &shards,
        &text(|facts| facts.tenant_id.as_str()),
        &text(|facts| facts.project_id.as_str()),
        &keys,
        &payloads,
        &text(|facts| &facts.traceparent),
        &times,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What a look at some rows of the clock came to, in the order of their ids.
#[derive(Debug, Clone, Copy)]
pub struct Cleared {
    pub seen: i64,
    /// Of jobs that have ended.
    pub cleared: i64,
    /// Where the next look begins; None where there was no row.
    pub last: Option<Uuid>,
}

/// Takes away, of some rows behind the one given, those of jobs that have ended.
pub async fn queue_clock_clear_if_ended(tx: &mut Tx, after: Uuid, rows_max: i64) -> Result<Cleared, StoreError> {
    let row =
        sqlx::query_file!("src/store/queries/queue_clock_clear.sql", after, rows_max).fetch_one(&mut **tx).await?;
    Ok(Cleared { seen: row.seen, cleared: row.cleared, last: row.last })
}
