//! Decisions of people about jobs of tier C, and how a job moves by one.

use holdfast_ids::{ActorId, ApprovalId};

use super::job::{Job, State, Time, Wait};
use super::transition::{Command, Entry, Move, Refusal, Said, Transition, run_out};

named! {
    /// What a person decides.
    Decision {
        Approve = "approve",
        Reject = "reject",
        RequestChanges = "request_changes",
        Defer = "defer",
    }
}

/// Records of one job, beyond which those that move nothing are refused.
pub const APPROVALS_MAX: usize = 100;

/// A decision as recorded, for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    pub approval_id: ApprovalId,
    /// From 1, without gaps within the job.
    pub number: i32,
    pub decision: Decision,
    pub reason: String,
    pub actor_id: ActorId,
    /// The role under which the actor was allowed to decide.
    pub role: String,
    /// The record that this one corrects.
    pub corrects: Option<ApprovalId>,
    pub command: Command,
    pub decided_at: Time,
    pub request_id: String,
    pub traceparent: String,
}

/// A decision to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deciding {
    pub approval_id: ApprovalId,
    pub decision: Decision,
    pub reason: String,
    pub corrects: Option<ApprovalId>,
}

/// Decides about a job. `earlier` are its records, oldest first. Answers the moves that come of it, in their order: none where
/// the same was decided before or only the reason is corrected, two where a deferral is followed up or an approval taken
/// back first. The decision is recorded in any case.
pub fn decide(job: Job, earlier: &[Approval], deciding: &Deciding, now: Time) -> Result<Vec<Transition>, Refusal> {
    if run_out(job.clone(), now).is_some() {
        // Too late, whether or not a sweep has come by.
        return Err(Refusal::AlreadyTerminal);
    }
    let moves = match deciding.corrects {
        Some(corrected) => correct(job, earlier, corrected, deciding, now),
        None => decide_anew(job, earlier, deciding, now),
    }?;
    // What moves the job is always taken: people can decide however often a reason was corrected.
    if moves.is_empty() && earlier.len() >= APPROVALS_MAX {
        return Err(Refusal::TooManyDecisions);
    }
    Ok(moves)
}

fn decide_anew(job: Job, earlier: &[Approval], deciding: &Deciding, now: Time) -> Result<Vec<Transition>, Refusal> {
    match (&job.state, earlier.last()) {
        (State::WaitingHumanDecision(_), _) => Ok(vec![settle(job, earlier, deciding, now)?]),
        (State::Deferred(_), _) => follow_up(job, earlier, deciding, now),
        // A job that timed out while it was put off was never decided.
        (_, Some(latest)) if latest.decision != Decision::Defer => {
            if latest.decision == deciding.decision {
                Ok(Vec::new())
            } else {
                Err(Refusal::DecidedOtherwise)
            }
        }
        (state, _) if state.name().is_final() => Err(Refusal::AlreadyTerminal),
        _ => Err(Refusal::NotWaiting),
    }
}

/// A further record that makes up for the latest one.
fn correct(
    job: Job,
    earlier: &[Approval],
    corrected: ApprovalId,
    deciding: &Deciding,
    now: Time,
) -> Result<Vec<Transition>, Refusal> {
    let Some(latest) = earlier.last().filter(|latest| latest.approval_id == corrected) else {
        return Err(Refusal::NotTheLatestDecision);
    };
    if latest.decision == deciding.decision {
        return Ok(Vec::new());
    }
    match (latest.decision, &job.state) {
        (Decision::Defer, State::Deferred(_)) => follow_up(job, earlier, deciding, now),
        (Decision::Approve, State::Queued) if job.progressed.attempt == 0 && job.progressed.fence == 0 => {
            let reopened = reopen(job, deciding.approval_id, "approval taken back", now)?;
            let settled = settle(reopened.after.clone(), earlier, deciding, now)?;
            Ok(vec![reopened, settled])
        }
        _ => Err(Refusal::DecisionTookEffect),
    }
}

/// deferred -> waiting_human_decision -> what is decided now.
fn follow_up(job: Job, earlier: &[Approval], deciding: &Deciding, now: Time) -> Result<Vec<Transition>, Refusal> {
    let reopened = reopen(job, deciding.approval_id, "followed up", now)?;
    let settled = settle(reopened.after.clone(), earlier, deciding, now)?;
    Ok(vec![reopened, settled])
}

/// deferred, queued -> waiting_human_decision.
fn reopen(job: Job, approval_id: ApprovalId, detail: &str, now: Time) -> Result<Transition, Refusal> {
    let wait = match &job.state {
        State::Deferred(wait) => *wait,
        _ => begin_wait(&job, now)?,
    };
    let said = Said::WaitingHumanDecision { entry: Entry::Decided(approval_id) };
    Ok(Move::of(job, now).to(State::WaitingHumanDecision(wait), said, detail.to_owned()))
}

/// A wait for a decision that begins now, with what is left of the time for it.
fn begin_wait(job: &Job, now: Time) -> Result<Wait, Refusal> {
    let terms = job.facts.human.ok_or(Refusal::NotWaiting)?;
    Ok(terms.wait(&job.facts, &job.progressed, now))
}

/// waiting_human_decision -> queued, rejected, changes_requested, deferred.
fn settle(job: Job, earlier: &[Approval], deciding: &Deciding, now: Time) -> Result<Transition, Refusal> {
    let (State::WaitingHumanDecision(wait), Some(terms)) = (job.state.clone(), job.facts.human) else {
        return Err(Refusal::NotWaiting);
    };
    let approval_id = deciding.approval_id;
    let reason = || deciding.reason.clone();
    let (state, said) = match deciding.decision {
        Decision::Approve => (State::Queued, Said::Queued { entry: Entry::Decided(approval_id) }),
        Decision::Reject => (State::Rejected { finished_at: now }, Said::Rejected { approval_id, reason: reason() }),
        Decision::RequestChanges => (
            State::ChangesRequested { due_at: terms.ends_at },
            Said::ChangesRequested { approval_id, reason: reason() },
        ),
        Decision::Defer if earlier.iter().any(|record| record.decision == Decision::Defer) => {
            return Err(Refusal::DeferredTwice);
        }
        Decision::Defer => (State::Deferred(wait), Said::Deferred { approval_id, reason: reason() }),
    };
    let detail = match deciding.reason.as_str() {
        "" => deciding.decision.as_str().to_owned(),
        reason => format!("{}: {}", deciding.decision.as_str(), job.facts.labels.told(reason)),
    };
    Ok(Move::of(job, now).to(state, said, detail))
}
