//! Admission: whether a caller may submit a job, and on what terms.

use std::time::Duration;

use chrono::TimeDelta;
use holdfast_fault::{Fault, Reason};
use holdfast_ids::{IdempotencyKey, Intent, JobId, ProjectId, TenantId};

use super::dependencies::Named;
use super::{App, Asking, authorise, is_same_trace};
use crate::domain::dependency::Dependency;
use crate::domain::job::{DEPTH_MAX, Parent, Queue, Tier, Time};
use crate::domain::labels::{AskedLabels, Labels};
use crate::domain::payload::Payload;
use crate::domain::payload_hash;
use crate::domain::submission::{HumanLimits, KeyScope, Meaning, Submission};
use crate::error::bad_json;
use crate::metrics;
use crate::store::read::SeenJob;

/// A submission as the caller sent it, well-formed.
#[derive(Debug, Clone)]
pub struct Requested {
    pub tenant_id: Option<TenantId>,
    pub project_id: ProjectId,
    pub intent: Intent,
    pub queue: Queue,
    pub tier: Tier,
    pub priority: i16,
    pub run_after: Option<Time>,
    pub run_budget_ms: Option<i64>,
    pub max_attempts: Option<i32>,
    pub key: IdempotencyKey,
    pub payload: Payload,
    /// The job that this one does anew.
    pub resubmits: Option<Old>,
    pub parent_job_id: Option<JobId>,
    pub dependencies: Vec<Named>,
    pub labels: AskedLabels,
}

/// What a job that is done anew takes over from the old one.
#[derive(Debug, Clone)]
pub struct Old {
    pub job_id: JobId,
    pub run_budget_ms: i64,
    pub max_attempts: i32,
    pub parent: Option<Parent>,
    pub labels: Labels,
    pub traceparent: String,
}

impl App {
    /// The job on whose behalf another is to be done.
    pub(super) async fn parent(&self, asking: &Asking, parent_job_id: JobId) -> Result<SeenJob, Fault> {
        let parent = self.get(asking, parent_job_id).await.map_err(|fault| match fault.reason {
            Reason::Job404NotFound => Fault::new(Reason::Job404NotFound, "no such parent job"),
            _ => fault,
        })?;
        if depth_of(&parent) >= DEPTH_MAX {
            let message = format!("the parent is {DEPTH_MAX} deep already");
            return Err(Fault::new(Reason::Job422DelegationDepthExceeded, message));
        }
        Ok(parent)
    }

    /// Whether the settings of the parent's project let it be the parent of such a job.
    fn delegates(&self, parent: &SeenJob, intent: &Intent) -> Result<(), Fault> {
        let project = self.core.in_force.of(parent.tenant_id.as_str(), parent.project_id.as_str());
        if project.is_none_or(|project| project.settings.delegates(&parent.intent, intent)) {
            return Ok(());
        }
        let message = format!("jobs of the intent {} may not delegate to {intent}", parent.intent);
        Err(Fault::new(Reason::Policy403Denied, message).with("rule", "delegations"))
    }

    /// Authorises a submission and fills in the terms of its intent, and what it inherits.
    pub(super) fn admit(
        &self,
        asking: &Asking,
        requested: Requested,
        parent: Option<SeenJob>,
        dependencies: Vec<Dependency>,
    ) -> Result<Submission, Fault> {
        let caller = &asking.caller;
        let limits = &self.core.limits;
        let tenant_id = authorise::tenant(caller, requested.tenant_id)?;
        caller.require_project(&requested.project_id)?;
        let parent = parent.as_ref();
        if parent.is_some_and(|parent| parent.tenant_id != tenant_id) {
            return Err(Fault::new(Reason::Job404NotFound, "no such parent job"));
        }
        caller.require_intent(&requested.intent)?;
        if let Some(parent) = parent {
            self.delegates(parent, &requested.intent)?;
        }
        let floor = self.core.in_force.tier_floor(&tenant_id, &requested.project_id, &requested.intent);
        let tier = inherited(requested.tier, &requested.project_id, parent).max(floor);
        caller.require_tier(tier.into())?;
        let kin = requested.resubmits.as_ref().map(|old| old.labels).or(parent.map(|parent| parent.labels));
        let labels = self.labels(&tenant_id, requested.labels, kin)?;
        if self.core.outbox.pending().is_some_and(|pending| pending >= limits.outbox_hard) {
            metrics::submissions_refused("outbox", 1);
            return Err(Fault::new(Reason::Infra503DependencyDown, "too many events wait for the relay")
                .with("component", "outbox")
                .retry_after(Duration::from_secs(5)));
        }
        self.core.guard.admit().inspect_err(|_| metrics::submissions_refused("policy", 1))?;
        let meaning = Meaning {
            intent: &requested.intent,
            queue: requested.queue,
            tier: requested.tier,
            priority: requested.priority,
            run_after: requested.run_after,
            run_budget_ms: requested.run_budget_ms,
            max_attempts: requested.max_attempts,
            resubmits: requested.resubmits.as_ref().map(|old| old.job_id),
            parent_job_id: requested.parent_job_id,
            dependencies: &dependencies,
            labels: requested.labels,
        };
        let payload_hash = payload_hash::of_submission(&meaning, &requested.payload)
            .map_err(|error| bad_json("payload.data", error))?;
        let terms = self.core.terms(&tenant_id, &requested.project_id, &requested.intent);
        let run_budget_ms = tightened(
            "constraints.run_budget",
            requested.run_budget_ms,
            terms.run_budget(tier).as_millis() as i64,
            "ms",
        )?;
        let max_attempts = tightened(
            "constraints.max_attempts",
            requested.max_attempts.map(i64::from),
            i64::from(terms.attempts_max),
            "attempts",
        )?;
        let old = requested.resubmits.as_ref();
        // The trace of a family goes on.
        let kin_trace = parent
            .map(|parent| parent.traceparent.as_str())
            .or_else(|| old.filter(|old| old.parent.is_some()).map(|old| old.traceparent.as_str()));
        Ok(Submission {
            scope: KeyScope {
                tenant_id,
                project_id: requested.project_id,
                intent: requested.intent,
                actor_id: caller.actor.clone(),
                key: requested.key,
            },
            deadline: asking.deadline,
            queue: requested.queue,
            tier,
            priority: requested.priority,
            run_after: requested.run_after,
            human: (tier == Tier::C).then(|| HumanLimits {
                budget_ms: terms.human_budget.as_millis() as i64,
                max_age: TimeDelta::milliseconds(limits.max_age.as_millis() as i64),
            }),
            resubmits: old.map(|old| old.job_id),
            parent: match old {
                Some(old) => old.parent,
                None => parent.map(|parent| Parent { job_id: parent.job_id, depth: depth_of(parent) + 1 }),
            },
            dependencies,
            labels,
            max_attempts: old.map_or(max_attempts as i32, |old| old.max_attempts.min(max_attempts as i32)),
            run_budget_ms: old.map_or(run_budget_ms, |old| old.run_budget_ms.min(run_budget_ms)),
            total_budget_ms: terms.total_budget(tier).as_millis() as i64,
            payload: requested.payload,
            payload_hash,
            window_ms: terms.key_window.as_millis() as i64,
            request_id: asking.request_id.clone(),
            traceparent: match kin_trace {
                Some(trace) if !is_same_trace(trace, &asking.traceparent) => trace.to_owned(),
                _ => asking.traceparent.clone(),
            },
        })
    }
}

/// How many parents are above a job.
fn depth_of(job: &SeenJob) -> i16 {
    job.parent.map_or(0, |parent| parent.depth)
}

/// A child is as dangerous as its parent at least, and leaving the parent's project takes a decision.
fn inherited(tier: Tier, project_id: &ProjectId, parent: Option<&SeenJob>) -> Tier {
    match parent {
        Some(parent) if parent.project_id != *project_id => Tier::C,
        Some(parent) => tier.max(parent.tier),
        None => tier,
    }
}

/// A constraint may lower the limit of its intent, never raise it.
fn tightened(field: &str, asked: Option<i64>, limit: i64, unit: &str) -> Result<i64, Fault> {
    match asked {
        Some(asked) if asked > limit => {
            Err(Fault::invalid(field, format!("is more than the intent allows, {limit} {unit}")))
        }
        asked => Ok(asked.unwrap_or(limit)),
    }
}
