//! Requests that read as sentences: `job().intent("quick.retry").priority(3)`.

use holdfast_proto::jobs::v1 as pb;
use uuid::Uuid;

pub use super::world::{actor, user, worker};

pub const PROJECT: &str = "alpha";
pub const INTENT: &str = "repo.digest";

pub fn fresh_key() -> String {
    format!("key-{}", Uuid::new_v4().simple())
}

pub fn json(text: &str) -> pb::Payload {
    pb::Payload { data: text.to_owned().into(), content_type: "application/json".to_owned() }
}

pub fn binary(data: &[u8]) -> pb::Payload {
    pb::Payload { data: data.to_vec().into(), content_type: "application/octet-stream".to_owned() }
}

/// A job of tier A in the project's queue, under a key of its own.
pub fn job() -> pb::SubmitJobRequest {
    pb::SubmitJobRequest {
        project_id: PROJECT.to_owned(),
        intent: INTENT.to_owned(),
        queue: pb::Queue::Project.into(),
        tier: pb::RiskTier::A.into(),
        idempotency_key: fresh_key(),
        payload: Some(json("{}")),
        ..Default::default()
    }
}

pub trait JobRequest: Sized {
    fn key(self, key: &str) -> Self;
    fn intent(self, intent: &str) -> Self;
    fn project(self, project: &str) -> Self;
    fn tenant(self, tenant: &holdfast_ids::TenantId) -> Self;
    fn payload(self, payload: pb::Payload) -> Self;
    fn priority(self, priority: i32) -> Self;
    fn infra(self) -> Self;
    fn tier(self, tier: pb::RiskTier) -> Self;
    fn attempts_at_most(self, max_attempts: i32) -> Self;
    fn run_budget_s(self, seconds: i64) -> Self;
    fn not_before(self, at: chrono::DateTime<chrono::Utc>) -> Self;
}

impl JobRequest for pb::SubmitJobRequest {
    fn key(self, key: &str) -> Self {
        Self { idempotency_key: key.to_owned(), ..self }
    }

    fn intent(self, intent: &str) -> Self {
        Self { intent: intent.to_owned(), ..self }
    }

    fn project(self, project: &str) -> Self {
        Self { project_id: project.to_owned(), ..self }
    }

    fn tenant(self, tenant: &holdfast_ids::TenantId) -> Self {
        Self { tenant_id: tenant.to_string(), ..self }
    }

    fn payload(self, payload: pb::Payload) -> Self {
        Self { payload: Some(payload), ..self }
    }

    fn priority(self, priority: i32) -> Self {
        Self { priority, ..self }
    }

    fn infra(self) -> Self {
        Self { queue: pb::Queue::Infra.into(), ..self }
    }

    fn tier(self, tier: pb::RiskTier) -> Self {
        Self { tier: tier.into(), ..self }
    }

    fn attempts_at_most(mut self, max_attempts: i32) -> Self {
        self.constraints.get_or_insert_default().max_attempts = max_attempts;
        self
    }

    fn run_budget_s(mut self, seconds: i64) -> Self {
        self.constraints.get_or_insert_default().run_budget = Some(prost_types::Duration { seconds, nanos: 0 });
        self
    }

    fn not_before(self, at: chrono::DateTime<chrono::Utc>) -> Self {
        let at = prost_types::Timestamp { seconds: at.timestamp(), nanos: at.timestamp_subsec_nanos() as i32 };
        Self { run_after: Some(at), ..self }
    }
}

pub fn batch(jobs: impl IntoIterator<Item = pb::SubmitJobRequest>) -> pb::BatchSubmitJobsRequest {
    pb::BatchSubmitJobsRequest { jobs: jobs.into_iter().collect() }
}

/// Up to `max_jobs` of any intent and queue, at once or not at all.
pub fn lease(max_jobs: i32) -> pb::LeaseJobsRequest {
    pb::LeaseJobsRequest {
        worker_id: "worker-1".to_owned(),
        intents: vec!["*".to_owned()],
        queues: vec![pb::Queue::Project.into(), pb::Queue::Infra.into()],
        max_jobs,
        wait: None,
    }
}

/// As [`lease`], waiting for the first.
pub fn lease_waiting(max_jobs: i32) -> pb::LeaseJobsRequest {
    pb::LeaseJobsRequest { wait: Some(prost_types::Duration { seconds: 10, nanos: 0 }), ..lease(max_jobs) }
}

pub fn hello(capacity: i32) -> pb::work_request::Hello {
    pb::work_request::Hello {
        worker_id: "worker-1".to_owned(),
        intents: vec!["*".to_owned()],
        queues: vec![pb::Queue::Project.into(), pb::Queue::Infra.into()],
        capacity,
        held: Vec::new(),
    }
}

pub fn complete(job: &pb::LeasedJob, result: pb::Payload) -> pb::CompleteJobRequest {
    pb::CompleteJobRequest { lease: job.lease.clone(), result: Some(result) }
}

pub fn fail(job: &pb::LeasedJob, retryable: bool) -> pb::FailJobRequest {
    pb::FailJobRequest {
        lease: job.lease.clone(),
        retryable,
        code: "disk_full".to_owned(),
        message: "no space left".to_owned(),
    }
}

pub fn extend(job: &pb::LeasedJob) -> pb::ExtendLeasesRequest {
    pb::ExtendLeasesRequest { leases: vec![pb::LeaseExtension { lease: job.lease.clone(), progress: None }] }
}

/// A call of a model that cost something, under a key of its own.
pub fn usage(job_id: &str, tokens: i64, cost_micro_usd: i64) -> pb::Usage {
    pb::Usage {
        job_id: job_id.to_owned(),
        lease: None,
        idempotency_key: fresh_key(),
        provider: "openai".to_owned(),
        model: "meta-llama/Llama-3.1:8b".to_owned(),
        input_tokens: tokens,
        output_tokens: 0,
        cost_micro_usd,
    }
}

pub fn reports(usages: impl IntoIterator<Item = pb::Usage>) -> pb::RecordUsageRequest {
    pb::RecordUsageRequest { usages: usages.into_iter().collect() }
}

pub fn budget(scope: pb::BudgetScope, scope_id: &str) -> pb::GetBudgetRequest {
    pb::GetBudgetRequest { tenant_id: String::new(), scope: scope.into(), scope_id: scope_id.to_owned() }
}

pub fn cancel(job_id: &str) -> pb::CancelJobRequest {
    pb::CancelJobRequest { job_id: job_id.to_owned(), reason: "not needed".to_owned(), idempotency_key: fresh_key() }
}

/// The whole settings of a project, over the version that was read.
pub fn update(project: &str, expected_version: u64, settings: pb::ProjectSettings) -> pb::UpdateProjectRequest {
    let project_id = project.to_owned();
    pb::UpdateProjectRequest { project_id, expected_version, settings: Some(settings), ..Default::default() }
}

/// Settings with the policy of one intent.
pub fn policy(policy: pb::IntentPolicy) -> pb::ProjectSettings {
    pb::ProjectSettings { intents: vec![policy], ..Default::default() }
}

pub fn list() -> pb::ListJobsRequest {
    pb::ListJobsRequest { project_id: PROJECT.to_owned(), ..Default::default() }
}

/// The id of a leased job.
pub fn id_of(job: &pb::LeasedJob) -> String {
    job.lease.as_ref().map(|lease| lease.job_id.clone()).unwrap_or_default()
}

pub fn fence_of(job: &pb::LeasedJob) -> u64 {
    job.lease.as_ref().map_or(0, |lease| lease.fencing_token)
}
