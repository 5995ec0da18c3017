//! Submissions.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use holdfast_fault::Fault;
use holdfast_ids::{IdempotencyKey, Intent, JobId, ProjectId, TenantId};
use holdfast_proto::jobs::v1 as pb;

use super::field::{duration, id, in_range, named, optional_id, optional_named, payload, required, time, timestamp};
use super::job::{known_classification, known_on_failure, known_queue, known_residency, known_tier, state};
use crate::app::admit::Requested;
use crate::app::dependencies::{Named, On};
use crate::app::submit::Submitted;
use crate::domain::dependency::{DEPENDENCIES_MAX, OnFailure};
use crate::domain::labels::AskedLabels;
use crate::domain::submission::RUN_AFTER_AHEAD_MAX_S;

const RUN_BUDGET_MIN: Duration = Duration::from_secs(1);
const RUN_BUDGET_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Every violation of a request at once, so that a caller mends them in one go.
#[derive(Default)]
struct Violations(Vec<Fault>);

impl Violations {
    fn check<T>(&mut self, field: Result<T, Fault>) -> Option<T> {
        field.map_err(|fault| self.0.push(fault)).ok()
    }

    /// One fault with the violations of all. Missing fields alone stay a missing field.
    fn into_fault(self) -> Fault {
        let mut faults = self.0.into_iter();
        let mut first = faults.next().unwrap_or_else(|| Fault::invalid("request", "is not valid"));
        for fault in faults {
            if fault.reason != first.reason {
                first.reason = holdfast_fault::Reason::Req400InvalidSchema;
            }
            first.violations.extend(fault.violations);
        }
        first
    }
}

impl TryFrom<pb::SubmitJobRequest> for Requested {
    type Error = Fault;

    fn try_from(request: pb::SubmitJobRequest) -> Result<Self, Fault> {
        let mut v = Violations::default();
        let tenant_id = v.check(optional_id("tenant_id", &request.tenant_id, TenantId::parse));
        let project_id = v.check(id("project_id", &request.project_id, ProjectId::parse));
        let intent = v.check(id("intent", &request.intent, Intent::parse));
        let queue = v.check(named("queue", request.queue, known_queue));
        let tier = v.check(named("tier", request.tier, known_tier));
        let priority = v.check(in_range("priority", request.priority, 0..=9));
        let run_after = v.check(request.run_after.map(run_after).transpose());
        let constraints = request.constraints.unwrap_or_default();
        let run_budget = v.check(
            constraints
                .run_budget
                .map(|budget| duration("constraints.run_budget", budget, RUN_BUDGET_MIN, RUN_BUDGET_MAX))
                .transpose(),
        );
        let max_attempts = v.check(in_range("constraints.max_attempts", constraints.max_attempts, 0..=1000));
        let key = v.check(id("idempotency_key", &request.idempotency_key, IdempotencyKey::parse));
        let parent_job_id = v.check(optional_id("parent_job_id", &request.parent_job_id, JobId::parse));
        let dependencies = v.check(dependencies(request.dependencies));
        let classification = v.check(optional_named("classification", request.classification, known_classification));
        let residency = v.check(optional_named("residency", request.residency, known_residency));
        let payload = v.check(required("payload", request.payload).and_then(|message| payload("payload", message)));
        let parsed = (|| {
            Some(Self {
                tenant_id: tenant_id?,
                project_id: project_id?,
                intent: intent?,
                queue: queue?,
                tier: tier?,
                priority: priority? as i16,
                run_after: run_after?,
                // Rounded up: a little more than the intent allows is more than it allows.
                run_budget_ms: run_budget?.map(|budget| budget.as_nanos().div_ceil(1_000_000) as i64),
                max_attempts: max_attempts.map(|attempts| (attempts > 0).then_some(attempts))?,
                key: key?,
                payload: payload?,
                resubmits: None,
                parent_job_id: parent_job_id?,
                dependencies: dependencies?,
                labels: AskedLabels { classification: classification?, residency: residency? },
            })
        })();
        parsed.ok_or_else(|| v.into_fault())
    }
}

fn dependencies(dependencies: Vec<pb::Dependency>) -> Result<Vec<Named>, Fault> {
    if dependencies.len() > DEPENDENCIES_MAX {
        return Err(Fault::invalid("dependencies", format!("has more than {DEPENDENCIES_MAX} elements")));
    }
    dependencies
        .into_iter()
        .enumerate()
        .map(|(index, message)| dependency(&format!("dependencies[{index}]"), message))
        .collect()
}

fn dependency(field: &str, dependency: pb::Dependency) -> Result<Named, Fault> {
    let on = match required(&format!("{field}.on"), dependency.on)? {
        pb::dependency::On::JobId(job_id) => On::Job(id(&format!("{field}.job_id"), &job_id, JobId::parse)?),
        pb::dependency::On::BatchItem(item) => {
            On::Item(in_range(&format!("{field}.batch_item"), item, 0..=999)?.unsigned_abs() as usize)
        }
    };
    let on_failure = match dependency.on_failure {
        0 => OnFailure::Block,
        number => named(&format!("{field}.on_failure"), number, known_on_failure)?,
    };
    Ok(Named { on, on_failure })
}

/// Microseconds, as PostgreSQL keeps them. The bound is the service's clock's: it only keeps nonsense out.
fn run_after(at: prost_types::Timestamp) -> Result<crate::domain::job::Time, Fault> {
    let at = time("run_after", at)?;
    if at > Utc::now() + TimeDelta::seconds(RUN_AFTER_AHEAD_MAX_S) {
        return Err(Fault::invalid("run_after", "is more than 7 days ahead"));
    }
    Ok(chrono::SubsecRound::trunc_subsecs(at, 6))
}

impl From<Submitted> for pb::SubmitJobResponse {
    fn from(submitted: Submitted) -> Self {
        Self {
            job_id: submitted.job_id.to_string(),
            state: state(submitted.state).into(),
            replayed: submitted.replayed,
            window_end: Some(timestamp(submitted.window_end)),
            generation: submitted.generation,
        }
    }
}

/// One item of a batch, as its caller is told.
pub fn result(index: usize, outcome: Result<Submitted, Fault>) -> pb::BatchSubmitJobsResult {
    use pb::batch_submit_jobs_result::Outcome;
    let outcome = match outcome {
        Ok(submitted) => Outcome::Job(submitted.into()),
        Err(fault) => Outcome::Error(fault.under(&format!("jobs[{index}].")).to_rpc_status()),
    };
    pb::BatchSubmitJobsResult { outcome: Some(outcome) }
}
