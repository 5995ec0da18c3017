//! Every situation of a job, and everything that can happen to it there.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use chrono::TimeDelta;
use holdfast_ids::{ApprovalId, LeaseId};
use holdfast_jobs::domain::approval::Decision;
use holdfast_jobs::domain::hold::{Hold, Scope, Switch};
use holdfast_jobs::domain::job::{Queue, StateName};
use holdfast_jobs::domain::payload::Payload;
use holdfast_jobs::domain::transition::{self, Presented, Refusal, Reported, Take};

use super::oracle::{Asked, Place, Whose};
use super::project::{HUMAN_BUDGET, Project, Store, Terms};
use crate::support::{fresh_key, run};

const TTL: Duration = Duration::from_secs(30);
const RUN_BUDGET: TimeDelta = TimeDelta::minutes(2);
/// Past the lease and within the run budget.
const PAST_LEASE: TimeDelta = TimeDelta::minutes(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Situation {
    Queued,
    /// Queued, and not before its run_after.
    Delayed,
    Running,
    /// Running on its last attempt.
    LastAttempt,
    /// Running; its lease ran out, and nobody noticed.
    Expired,
    /// The same on its last attempt.
    ExpiredLastAttempt,
    /// Running; its lease ran out, and nobody noticed for longer than its run budget.
    ExpiredLongAgo,
    /// Running, its lease held to the end of the run budget, and nobody noticed.
    Overrun,
    /// Within its back-off.
    Retrying,
    /// Its back-off is over, and nobody noticed.
    RetryDue,
    /// Its back-off is over: it waits for a worker.
    RetryReady,
    Done,
    Failed,
    TimedOut,
    Cancelled,
    /// Of tier C, and undecided.
    Waiting,
    /// The same, for longer than people have; nobody noticed.
    Undecided,
    Deferred,
    ChangesRequested,
    Approved,
    Rejected,
    /// It waits for another job.
    Blocked,
    /// The same, and people have to decide then.
    BlockedDangerous,
    BudgetExceeded,
    /// Queued, and held while policy is away.
    Held,
    /// The same of a job that people approved.
    HeldApproved,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Claim,
    Complete,
    /// An answer under a lease that is not the current one.
    CompleteStale,
    FailRetryable,
    FailForGood,
    Release,
    Cancel,
    Extend,
    Sweep,
    Promote,
    Approve,
    Reject,
    SendBack,
    Defer,
    RunOut,
    Unblock,
    /// More is used of a budget that the job draws on than there is.
    ExceedBudget,
    /// A kill switch covers it.
    SwitchOff,
    /// Policy is away, and it is of a tier that may not go on then.
    LosePolicy,
    /// Nothing holds it any more.
    Resume,
}

const EVENTS: [Event; 20] = [
    Event::Claim,
    Event::Complete,
    Event::CompleteStale,
    Event::FailRetryable,
    Event::FailForGood,
    Event::Release,
    Event::Cancel,
    Event::Extend,
    Event::Sweep,
    Event::Promote,
    Event::Approve,
    Event::Reject,
    Event::SendBack,
    Event::Defer,
    Event::RunOut,
    Event::Unblock,
    Event::ExceedBudget,
    Event::SwitchOff,
    Event::LosePolicy,
    Event::Resume,
];

/// What comes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Moves(StateName),
    Refused(Refusal),
    /// No transition: the job, or its lease, is renewed or queued where it stands.
    Goes,
    /// It does not concern a job here.
    Nothing,
}

use Then::{Goes, Moves, Nothing, Refused};

const ASKED: Then = Moves(StateName::WaitingHumanDecision);
const BLOCKED: Then = Moves(StateName::Blocked);
const CANCELLED: Then = Moves(StateName::Cancelled);
const CONFLICT: Then = Refused(Refusal::DecidedOtherwise);
const DEFERRED: Then = Moves(StateName::Deferred);
const DONE: Then = Moves(StateName::Done);
const FAILED: Then = Moves(StateName::Failed);
const NOT_ASKED: Then = Refused(Refusal::NotWaiting);
const OVER: Then = Refused(Refusal::AlreadyTerminal);
const QUEUED: Then = Moves(StateName::Queued);
const REJECTED: Then = Moves(StateName::Rejected);
const RETRYING: Then = Moves(StateName::Retrying);
const RUNNING: Then = Moves(StateName::Running);
const SENT_BACK: Then = Moves(StateName::ChangesRequested);
const STALE: Then = Refused(Refusal::StaleFence);
const TIMED_OUT: Then = Moves(StateName::TimedOut);
const TWICE: Then = Refused(Refusal::DeferredTwice);
const TOO_MUCH: Then = Moves(StateName::BudgetExceeded);
const WAITS: Then = Refused(Refusal::NotCancellable);

/// One row a situation, one column an event, in the order of [`EVENTS`].
#[rustfmt::skip]
const TABLE: [(Situation, [Then; 20]); 26] = [
    //                              Claim    Complete  Stale  FailRetryable  FailForGood  Release  Cancel     Extend  Sweep      Promote  Approve    Reject     SendBack   Defer      RunOut     Unblock  ExceedBudget  SwitchOff  LosePolicy Resume
    (Situation::Queued,            [RUNNING, STALE,    STALE, STALE,         STALE,       STALE,   CANCELLED, STALE,  Nothing,   Nothing, NOT_ASKED, NOT_ASKED, NOT_ASKED, NOT_ASKED, Nothing,   Nothing, TOO_MUCH,     BLOCKED,   BLOCKED,    Nothing]),
    (Situation::Delayed,           [Nothing, STALE,    STALE, STALE,         STALE,       STALE,   CANCELLED, STALE,  Nothing,   Nothing, NOT_ASKED, NOT_ASKED, NOT_ASKED, NOT_ASKED, Nothing,   Nothing, TOO_MUCH,     BLOCKED,   BLOCKED,    Nothing]),
    (Situation::Running,           [Nothing, DONE,     STALE, RETRYING,      FAILED,      QUEUED,  CANCELLED, Goes,   Nothing,   Nothing, NOT_ASKED, NOT_ASKED, NOT_ASKED, NOT_ASKED, Nothing,   Nothing, TOO_MUCH,     CANCELLED, Nothing,    Nothing]),
    (Situation::LastAttempt,       [Nothing, DONE,     STALE, FAILED,        FAILED,      QUEUED,  CANCELLED, Goes,   Nothing,   Nothing, NOT_ASKED, NOT_ASKED, NOT_ASKED, NOT_ASKED, Nothing,   Nothing, TOO_MUCH,     CANCELLED, Nothing,    Nothing]),
    (Situation::Expired,           [Nothing, STALE,    STALE, STALE,         STALE,       STALE,   CANCELLED, STALE,  RETRYING,  Nothing, NOT_ASKED, NOT_ASKED, NOT_ASKED, NOT_ASKED, Nothing,   Nothing, TOO_MUCH,     CANCELLED, Nothing,    Nothing]),
    (Situation::ExpiredLastAttempt,[Nothing, STALE,    STALE, STALE,         STALE,       STALE,   CANCELLED, STALE,  FAILED,    Nothing, NOT_ASKED, NOT_ASKED, NOT_ASKED, NOT_ASKED, Nothing,   Nothing, TOO_MUCH,     CANCELLED, Nothing,    Nothing]),
    (Situation::ExpiredLongAgo,    [Nothing, STALE,    STALE, STALE,         STALE,       STALE,   CANCELLED, STALE,  RETRYING,  Nothing, NOT_ASKED, NOT_ASKED, NOT_ASKED, NOT_ASKED, Nothing,   Nothing, TOO_MUCH,     CANCELLED, Nothing,    Nothing]),
    (Situation::Overrun,           [Nothing, STALE,    STALE, STALE,         STALE,       STALE,   CANCELLED, STALE,  TIMED_OUT, Nothing, NOT_ASKED, NOT_ASKED, NOT_ASKED, NOT_ASKED, Nothing,   Nothing, TOO_MUCH,     CANCELLED, Nothing,    Nothing]),
    (Situation::Retrying,          [Nothing, STALE,    STALE, STALE,         STALE,       STALE,   CANCELLED, STALE,  Nothing,   Nothing, NOT_ASKED, NOT_ASKED, NOT_ASKED, NOT_ASKED, Nothing,   Nothing, TOO_MUCH,     CANCELLED, BLOCKED,    Nothing]),
    (Situation::RetryDue,          [Nothing, STALE,    STALE, STALE,         STALE,       STALE,   CANCELLED, STALE,  Nothing,   Goes,    NOT_ASKED, NOT_ASKED, NOT_ASKED, NOT_ASKED, Nothing,   Nothing, TOO_MUCH,     CANCELLED, BLOCKED,    Nothing]),
    (Situation::RetryReady,        [RUNNING, STALE,    STALE, STALE,         STALE,       STALE,   CANCELLED, STALE,  Nothing,   Nothing, NOT_ASKED, NOT_ASKED, NOT_ASKED, NOT_ASKED, Nothing,   Nothing, TOO_MUCH,     CANCELLED, BLOCKED,    Nothing]),
    (Situation::Done,              [Nothing, OVER,     OVER,  OVER,          OVER,        OVER,    OVER,      OVER,   Nothing,   Nothing, OVER,      OVER,      OVER,      OVER,      Nothing,   Nothing, Nothing,      Nothing,   Nothing,    Nothing]),
    (Situation::Failed,            [Nothing, OVER,     OVER,  OVER,          OVER,        OVER,    OVER,      OVER,   Nothing,   Nothing, OVER,      OVER,      OVER,      OVER,      Nothing,   Nothing, Nothing,      Nothing,   Nothing,    Nothing]),
    (Situation::TimedOut,          [Nothing, OVER,     OVER,  OVER,          OVER,        OVER,    OVER,      OVER,   Nothing,   Nothing, OVER,      OVER,      OVER,      OVER,      Nothing,   Nothing, Nothing,      Nothing,   Nothing,    Nothing]),
    (Situation::Cancelled,         [Nothing, OVER,     OVER,  OVER,          OVER,        OVER,    OVER,      OVER,   Nothing,   Nothing, OVER,      OVER,      OVER,      OVER,      Nothing,   Nothing, Nothing,      Nothing,   Nothing,    Nothing]),
    (Situation::Waiting,           [Nothing, STALE,    STALE, STALE,         STALE,       STALE,   WAITS,     STALE,  Nothing,   Nothing, QUEUED,    REJECTED,  SENT_BACK, DEFERRED,  Nothing,   Nothing, Nothing,      Nothing,   Nothing,    Nothing]),
    (Situation::Undecided,         [Nothing, STALE,    STALE, STALE,         STALE,       STALE,   WAITS,     STALE,  Nothing,   Nothing, OVER,      OVER,      OVER,      OVER,      TIMED_OUT, Nothing, Nothing,      Nothing,   Nothing,    Nothing]),
    (Situation::Deferred,          [Nothing, STALE,    STALE, STALE,         STALE,       STALE,   WAITS,     STALE,  Nothing,   Nothing, QUEUED,    REJECTED,  SENT_BACK, TWICE,     Nothing,   Nothing, Nothing,      Nothing,   Nothing,    Nothing]),
    (Situation::ChangesRequested,  [Nothing, STALE,    STALE, STALE,         STALE,       STALE,   CANCELLED, STALE,  Nothing,   Nothing, CONFLICT,  CONFLICT,  Goes,      CONFLICT,  Nothing,   Nothing, Nothing,      Nothing,   Nothing,    Nothing]),
    (Situation::Approved,          [RUNNING, STALE,    STALE, STALE,         STALE,       STALE,   CANCELLED, STALE,  Nothing,   Nothing, Goes,      CONFLICT,  CONFLICT,  CONFLICT,  Nothing,   Nothing, TOO_MUCH,     BLOCKED,   BLOCKED,    Nothing]),
    (Situation::Rejected,          [Nothing, OVER,     OVER,  OVER,          OVER,        OVER,    OVER,      OVER,   Nothing,   Nothing, CONFLICT,  Goes,      CONFLICT,  CONFLICT,  Nothing,   Nothing, Nothing,      Nothing,   Nothing,    Nothing]),
    (Situation::Blocked,           [Nothing, STALE,    STALE, STALE,         STALE,       STALE,   CANCELLED, STALE,  Nothing,   Nothing, NOT_ASKED, NOT_ASKED, NOT_ASKED, NOT_ASKED, Nothing,   QUEUED,  Nothing,      Nothing,   Nothing,    QUEUED]),
    (Situation::BlockedDangerous,  [Nothing, STALE,    STALE, STALE,         STALE,       STALE,   CANCELLED, STALE,  Nothing,   Nothing, NOT_ASKED, NOT_ASKED, NOT_ASKED, NOT_ASKED, Nothing,   ASKED,   Nothing,      Nothing,   Nothing,    ASKED]),
    (Situation::BudgetExceeded,    [Nothing, OVER,     OVER,  OVER,          OVER,        OVER,    OVER,      OVER,   Nothing,   Nothing, OVER,      OVER,      OVER,      OVER,      Nothing,   Nothing, Nothing,      Nothing,   Nothing,    Nothing]),
    (Situation::Held,              [Nothing, STALE,    STALE, STALE,         STALE,       STALE,   CANCELLED, STALE,  Nothing,   Nothing, NOT_ASKED, NOT_ASKED, NOT_ASKED, NOT_ASKED, Nothing,   QUEUED,  Nothing,      Nothing,   Nothing,    QUEUED]),
    (Situation::HeldApproved,      [Nothing, STALE,    STALE, STALE,         STALE,       STALE,   CANCELLED, STALE,  Nothing,   Nothing, Goes,      CONFLICT,  CONFLICT,  CONFLICT,  Nothing,   ASKED,   Nothing,      Nothing,   Nothing,    QUEUED]),
];

fn complete(presented: Presented) -> Asked {
    Asked::Complete(presented, Payload { data: b"1".as_slice().into(), content_type: "application/json".to_owned() })
}

fn fail(presented: Presented, retryable: bool) -> Asked {
    let (code, message) = ("disk_full".to_owned(), "no space left".to_owned());
    Asked::Fail(presented, Reported { retryable, code, message })
}

fn cancel() -> Asked {
    Asked::Cancel { reason: "not needed".to_owned(), key: fresh_key() }
}

fn decision(decision: Decision) -> Asked {
    Asked::Decide { approval_id: ApprovalId::new(), decision }
}

fn switched_off() -> Result<Hold> {
    Ok(Hold::KillSwitch(Switch::new(Scope::Global, "", "").context("the global switch")?))
}

/// A project whose one job is in the situation.
async fn arranged(store: &Store, situation: Situation) -> Result<Project<'_>> {
    use Situation::*;
    let is_last = matches!(situation, LastAttempt | ExpiredLastAttempt);
    let terms = Terms {
        queue: Queue::Project,
        priority: 5,
        max_attempts: if is_last { 1 } else { 5 },
        run_budget_ms: RUN_BUDGET.num_milliseconds(),
        total_budget_ms: 3_600_000,
        is_delayed: situation == Delayed,
        is_dangerous: matches!(
            situation,
            Waiting | Undecided | Deferred | ChangesRequested | Approved | Rejected | BlockedDangerous | HeldApproved
        ),
        is_blocked: matches!(situation, Blocked | BlockedDangerous),
    };
    let mut project = Project::new(store, 1);
    project.submit(&terms).await?;
    if matches!(situation, Queued | Delayed | Blocked | BlockedDangerous) {
        return Ok(project);
    }
    if situation == Held {
        project.stop(&Hold::Policy).await?;
        return Ok(project);
    }
    let ordered = match situation {
        Cancelled => Some(cancel()),
        Deferred => Some(decision(Decision::Defer)),
        ChangesRequested => Some(decision(Decision::RequestChanges)),
        Approved | HeldApproved => Some(decision(Decision::Approve)),
        Rejected => Some(decision(Decision::Reject)),
        _ => None,
    };
    if situation == BudgetExceeded {
        project.exceed_budget(1).await?;
        return Ok(project);
    }
    if situation == Undecided {
        project.age(HUMAN_BUDGET).await?;
    }
    if terms.is_dangerous || ordered.is_some() {
        if let Some(command) = ordered {
            project.ask(&[(0, command)], 0.0).await?;
        }
        if situation == HeldApproved {
            project.stop(&Hold::Policy).await?;
        }
        return Ok(project);
    }
    let ttl = if matches!(situation, Overrun | TimedOut) { RUN_BUDGET.to_std()? } else { TTL };
    ensure!(project.claim(1, ttl).await? == 1, "not leased");
    let holders = project.jobs[0].presented(Whose::Holders);
    match situation {
        Running | LastAttempt => {}
        Expired | ExpiredLastAttempt => project.age(PAST_LEASE).await?,
        ExpiredLongAgo | Overrun | TimedOut => project.age(RUN_BUDGET).await?,
        Done => drop(project.ask(&[(0, complete(holders))], 0.0).await?),
        Failed => drop(project.ask(&[(0, fail(holders, false))], 0.0).await?),
        _ => drop(project.ask(&[(0, fail(holders, true))], 0.0).await?),
    }
    match situation {
        TimedOut => drop(project.sweep(0.0).await?),
        RetryDue => project.age(PAST_LEASE).await?,
        RetryReady => {
            project.age(PAST_LEASE).await?;
            ensure!(project.promote().await? == 1, "not promoted");
        }
        _ => {}
    }
    Ok(project)
}

async fn happens(project: &mut Project<'_>, event: Event) -> Result<Then> {
    let oracle = &project.jobs[0];
    let (holders, other) = (oracle.presented(Whose::Holders), oracle.presented(Whose::Invented));
    let asked = match event {
        Event::Complete => complete(holders),
        Event::CompleteStale => complete(other),
        Event::FailRetryable => fail(holders, true),
        Event::FailForGood => fail(holders, false),
        Event::Release => Asked::Release(holders),
        Event::Cancel => cancel(),
        Event::Approve => decision(Decision::Approve),
        Event::Reject => decision(Decision::Reject),
        Event::SendBack => decision(Decision::RequestChanges),
        Event::Defer => decision(Decision::Defer),
        Event::ExceedBudget => return Ok(project.exceed_budget(1).await?.pop().map_or(Nothing, Moves)),
        Event::RunOut => return Ok(project.run_out().await?.pop().map_or(Nothing, Moves)),
        Event::SwitchOff => return Ok(project.stop(&switched_off()?).await?.pop().map_or(Nothing, Moves)),
        Event::LosePolicy => return Ok(project.stop(&Hold::Policy).await?.pop().map_or(Nothing, Moves)),
        Event::Resume => return Ok(project.resume().await?.pop().map_or(Nothing, Moves)),
        Event::Unblock => return Ok(project.unblock().await?.pop().map_or(Nothing, Moves)),
        Event::Claim => {
            let is_leased = project.claim(1, TTL).await? == 1;
            return Ok(if is_leased { Moves(StateName::Running) } else { Nothing });
        }
        Event::Extend => {
            let is_final = oracle.state().is_final();
            let is_renewed = project.extend(0, holders, TTL).await?;
            return Ok(if is_renewed {
                Goes
            } else if is_final {
                OVER
            } else {
                STALE
            });
        }
        Event::Sweep => return Ok(project.sweep(0.0).await?.pop().map_or(Nothing, Moves)),
        Event::Promote => return Ok(if project.promote().await? == 1 { Goes } else { Nothing }),
    };
    let moves = project.jobs[0].history.len();
    let outcome = project.ask(&[(0, asked)], 0.0).await?.pop().context("every command has an outcome")?;
    Ok(match outcome {
        Err(refusal) => Refused(refusal),
        Ok(_) if project.jobs[0].history.len() == moves => Goes,
        Ok(state) => Moves(state),
    })
}

/// Whatever the claim leaves alone, the pure lease refuses; what waits for its time alone is the claim's to pass over.
fn check_lease(project: &Project<'_>, now: chrono::DateTime<chrono::Utc>, is_offered: bool) -> Result<()> {
    let oracle = &project.jobs[0];
    let take = Take { lease_id: LeaseId::new(), worker_id: "worker-1".to_owned(), ttl: TTL };
    let expected = match oracle.state() {
        state if state.is_final() => Some(Refusal::AlreadyTerminal),
        StateName::Queued | StateName::Retrying => None,
        _ => Some(Refusal::StaleFence),
    };
    let refused = transition::lease(oracle.job.clone(), take, now).err();
    ensure!(refused == expected, "the pure lease says {refused:?}");
    let waits = matches!(oracle.place, Place::Delayed { .. });
    ensure!(is_offered == (refused.is_none() && !waits), "offered: {is_offered}, refused: {refused:?}");
    Ok(())
}

#[test]
fn every_event_in_every_situation_is_a_transition_or_a_refusal() -> Result<()> {
    run(async {
        let store = Store::open().await?;
        let mut states = BTreeSet::new();
        for (situation, row) in TABLE {
            for (event, expected) in EVENTS.into_iter().zip(row) {
                let pair = || format!("{event:?} in {situation:?}");
                let mut project = arranged(&store, situation).await.with_context(pair)?;
                project.compare().await.with_context(pair)?;
                let before = (project.jobs[0].state(), project.events_stored().await?);
                let told = project.jobs[0].history.len();
                states.insert(before.0);
                if event == Event::Claim {
                    check_lease(&project, store.clock().await?, expected == RUNNING).with_context(pair)?;
                }
                let then = happens(&mut project, event).await.with_context(pair)?;
                ensure!(then == expected, "{}: {then:?}, and not {expected:?}", pair());
                project.compare().await.with_context(pair)?;
                // A follow-up opens the job again before it decides.
                let moves = (project.jobs[0].history.len() - told) as i64;
                ensure!((moves > 0) == matches!(then, Moves(_)), "{}: {moves} moves", pair());
                let after = (project.jobs[0].state(), project.events_stored().await?);
                let (history, events) = before.1;
                let (state, counts) = match then {
                    Moves(state) => (state, (history + moves, events + moves)),
                    _ => before,
                };
                ensure!(after == (state, counts), "{}: {after:?} after {before:?}", pair());
            }
        }
        ensure!(states.into_iter().eq(StateName::ALL.iter().copied()), "a state is missing from the table");
        Ok(())
    })
}

#[test]
fn time_after_the_end_of_a_lease_is_on_no_clock() -> Result<()> {
    run(async {
        let store = Store::open().await?;
        let mut project = arranged(&store, Situation::ExpiredLongAgo).await?;
        project.sweep(0.0).await?;
        let run_ms = project.jobs[0].job.progressed.run_ms;
        ensure!(run_ms == TTL.as_millis() as i64, "{run_ms} ms under lease");
        project.compare().await
    })
}

/// The lock keeps two transactions from deciding over one row. Where it did not, the second would still not get through.
#[test]
fn a_move_decided_over_an_older_row_is_not_persisted() -> Result<()> {
    run(async {
        let store = Store::open().await?;
        let mut project = arranged(&store, Situation::Running).await?;
        let holders = project.jobs[0].presented(Whose::Holders);
        let Some((_, locked)) = project.loaded().await?.into_iter().next() else { bail!("no job") };
        let late = complete(holders).decide(locked.job, &[], locked.now, 0.0)?.remove(0);
        project.ask(&[(0, fail(holders, false))], 0.0).await?;
        ensure!(project.persist_late(late).await.is_err(), "a failed job was completed");
        project.compare().await
    })
}
