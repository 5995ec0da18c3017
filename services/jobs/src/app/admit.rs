//! Admission: whether a caller may submit a job, and on what terms.

use std::time::Duration;

use chrono::TimeDelta;
use holdfast_fault::{Fault, Reason};
use holdfast_ids::{IdempotencyKey, Intent, JobId, ProjectId, TenantId};

use super::dependencies::{Named, SeenJobs, jobs_named};
use super::limits::IntentTerms;
use super::repeated::Unadmitted;
use super::{App, Asking, authorise, is_same_trace};
use crate::domain::dependency::Dependency;
use crate::domain::job::{DEPTH_MAX, Parent, Queue, StateName, Tier, Time};
use crate::domain::labels::{AskedLabels, Labels};
use crate::domain::payload::Payload;
use crate::domain::payload_hash::{self, PayloadHash};
use crate::domain::submission::{HumanLimits, KeyScope, Meaning, Submission};
use crate::error::bad_json;
use crate::store::read::{SeenJob, Sought};

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
    /// Those of its dependencies that have not ended.
    pub waits_for: Vec<Dependency>,
    pub labels: Labels,
    pub traceparent: String,
}

/// A submission that the token allows, and what its key stands for. Nothing of it depends on what anybody sets, so it is the same
/// for every repetition.
#[derive(Debug)]
pub(super) struct Identified {
    pub requested: Requested,
    /// What the caller named, in the order of ids.
    pub dependencies: Vec<Dependency>,
    pub scope: KeyScope,
    pub payload_hash: PayloadHash,
}

/// On what terms a submission is taken.
#[derive(Debug)]
pub(super) struct Admitted {
    tier: Tier,
    labels: Labels,
    parent: Option<Parent>,
    terms: IntentTerms,
    run_budget_ms: i64,
    max_attempts: i32,
    traceparent: String,
}

impl App {
    /// Authorises a submission as far as the token says.
    pub(super) fn identify(&self, asking: &Asking, requested: Requested) -> Result<Identified, Fault> {
        let caller = &asking.caller;
        let tenant_id = authorise::tenant(caller, requested.tenant_id.clone())?;
        caller.require_project(&requested.project_id)?;
        caller.require_intent(&requested.intent)?;
        caller.require_tier(requested.tier.into())?;
        let dependencies = jobs_named(&requested.dependencies)?;
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
        let scope = KeyScope {
            tenant_id,
            project_id: requested.project_id.clone(),
            intent: requested.intent.clone(),
            actor_id: caller.actor.clone(),
            key: requested.key.clone(),
        };
        Ok(Identified { requested, dependencies, scope, payload_hash })
    }

    /// Whether a submission may be taken now, and on what terms: those of its intent, and what it inherits. What is refused
    /// here may repeat what was taken before.
    pub(super) async fn admit(
        &self,
        asking: &Asking,
        item: &Identified,
        seen: &Result<SeenJobs, Fault>,
    ) -> Result<Admitted, Unadmitted> {
        let Identified { requested, scope, .. } = item;
        let limits = &self.core.limits;
        let parent = self.parent(asking, item).await?;
        let parent = parent.as_ref();
        self.require_dependencies(asking, item, seen, parent).await?;
        if let Some(parent) = parent {
            self.delegates(parent, &scope.intent)?;
        }
        let floor = self.core.in_force.tier_floor(&scope.tenant_id, &scope.project_id, &scope.intent);
        let tier = inherited(requested.tier, &scope.project_id, parent).max(floor);
        asking.caller.require_tier(tier.into())?;
        let old = requested.resubmits.as_ref();
        let kin = old.map(|old| old.labels).or(parent.map(|parent| parent.labels));
        let labels = self.labels(&scope.tenant_id, requested.labels, kin)?;
        if self.core.outbox.pending().is_some_and(|pending| pending >= limits.outbox_hard) {
            let fault = Fault::new(Reason::Infra503DependencyDown, "too many events wait for the relay")
                .with("component", "outbox")
                .retry_after(Duration::from_secs(5));
            return Err(Unadmitted::counted("outbox", fault));
        }
        self.core.guard.admit().map_err(|fault| Unadmitted::counted("policy", fault))?;
        let terms = self.core.terms(&scope.tenant_id, &scope.project_id, &scope.intent);
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
        let stopped = parent.is_some_and(|parent| parent.state == StateName::BudgetExceeded);
        self.within_budgets(asking, scope, stopped).await?;
        // The trace of a family goes on.
        let kin_trace = match old {
            Some(old) => old.parent.map(|_| old.traceparent.as_str()),
            None => parent.map(|parent| parent.traceparent.as_str()),
        };
        Ok(Admitted {
            tier,
            labels,
            parent: match old {
                Some(old) => old.parent,
                None => parent.map(|parent| Parent { job_id: parent.job_id, depth: depth_of(parent) + 1 }),
            },
            terms,
            run_budget_ms: old.map_or(run_budget_ms, |old| old.run_budget_ms.min(run_budget_ms)),
            max_attempts: old.map_or(max_attempts as i32, |old| old.max_attempts.min(max_attempts as i32)),
            traceparent: match kin_trace {
                Some(trace) if !is_same_trace(trace, &asking.traceparent) => trace.to_owned(),
                _ => asking.traceparent.clone(),
            },
        })
    }

    /// The job on whose behalf another is to be done: the one that is named, or that of the job that is done anew, which is held
    /// to the rules of its family whoever may see them, for as long as the parent is kept.
    async fn parent(&self, asking: &Asking, item: &Identified) -> Result<Option<SeenJob>, Fault> {
        let Identified { requested, scope, .. } = item;
        let Some(parent_job_id) = requested.parent_job_id else {
            let Some(parent) = requested.resubmits.as_ref().and_then(|old| old.parent) else { return Ok(None) };
            let tenants = scope.tenant_id.to_string();
            let sought = Sought { job_id: parent.job_id, tenants, deadline: asking.deadline };
            return Ok(self.reads.submit(sought).await?);
        };
        let missing = || Fault::new(Reason::Job404NotFound, "no such parent job");
        let parent = self.get(asking, parent_job_id).await.map_err(|fault| match fault.reason {
            Reason::Job404NotFound => missing(),
            _ => fault,
        })?;
        if parent.tenant_id != scope.tenant_id {
            return Err(missing());
        }
        if depth_of(&parent) >= DEPTH_MAX {
            let message = format!("the parent is {DEPTH_MAX} deep already");
            return Err(Fault::new(Reason::Job422DelegationDepthExceeded, message));
        }
        Ok(Some(parent))
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
}

impl Identified {
    /// What there is to be persisted.
    pub(super) fn under(self, admitted: Admitted, asking: &Asking, max_age: Duration) -> Submission {
        let Self { requested, dependencies, scope, payload_hash } = self;
        let Admitted { tier, labels, parent, terms, run_budget_ms, max_attempts, traceparent } = admitted;
        Submission {
            scope,
            deadline: asking.deadline,
            queue: requested.queue,
            tier,
            priority: requested.priority,
            run_after: requested.run_after,
            human: (tier == Tier::C).then(|| HumanLimits {
                budget_ms: terms.human_budget.as_millis() as i64,
                max_age: TimeDelta::milliseconds(max_age.as_millis() as i64),
            }),
            resubmits: requested.resubmits.as_ref().map(|old| old.job_id),
            parent,
            dependencies: requested.resubmits.map_or(dependencies, |old| old.waits_for),
            labels,
            max_attempts,
            run_budget_ms,
            total_budget_ms: terms.total_budget(tier).as_millis() as i64,
            payload: requested.payload,
            payload_hash,
            window_ms: terms.key_window.as_millis() as i64,
            request_id: asking.request_id.clone(),
            traceparent,
        }
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
