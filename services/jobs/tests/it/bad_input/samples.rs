//! One valid request for each method, and for each message of a session, in which every field is set.

use anyhow::{Context as _, Result};
use holdfast_caller::issuer::TokenSpec;
use holdfast_caller::{Kind, Role};
use holdfast_ids::TenantId;
use pb::work_request::{Drain, Heartbeat, Message as In};
use prost::Message;
use prost_reflect::DynamicMessage;

use crate::support::raw::{Method, methods};
use crate::support::*;

const MINUTE: prost_types::Duration = prost_types::Duration { seconds: 60, nanos: 0 };
const LEASES: i32 = 8;

/// What is there for the requests to name.
pub struct Stage {
    pub tenant: TenantId,
    leased: Vec<pb::LeasedJob>,
    /// The approval of a job of tier C.
    approval: pb::Approval,
    /// Cancelled.
    ended: String,
    jobs_token: String,
    events_token: String,
    projects_token: String,
    key_token: u64,
    /// Both with a token, and both end by themselves.
    job_watch: pb::WatchJobsRequest,
    project_watch: pb::WatchJobsRequest,
}

impl Stage {
    /// Jobs, all of them leased, so that nothing moves by itself; a listing with a second page; a reserved key.
    pub async fn set(world: &World, tenant: TenantId) -> Result<Self> {
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        alice.batch_submit_jobs(batch((0..LEASES).map(|_| job()))).await?;
        let mut leased = Vec::new();
        while leased.len() < LEASES as usize {
            leased.extend(worker.lease_jobs(lease_waiting(LEASES)).await?.jobs);
        }
        let dangerous = job().tier(pb::RiskTier::C).intent("dangerous.intent");
        let request = pb::DecideJobRequest {
            job_id: alice.submit_job(dangerous).await?.job_id,
            decision: pb::Decision::Approve.into(),
            idempotency_key: fresh_key(),
            ..Default::default()
        };
        let olga = world.owner("olga", &tenant);
        olga.update_project(update("beta", 0, pb::ProjectSettings { weight: 7, ..Default::default() })).await?;
        let page = pb::ListProjectsRequest { page_size: 1, ..Default::default() };
        let projects_token = olga.list_projects(page).await?.next_page_token;
        let approval = olga.decide_job(request).await?.approval.context("every decision has its record")?;
        // Not before an hour has passed: nobody else's request leases it.
        let later = chrono::Utc::now() + chrono::TimeDelta::hours(1);
        let ended = alice.submit_job(job().not_before(later)).await?.job_id;
        alice.cancel_job(cancel(&ended)).await?;
        let (jobs_token, events_token) = (String::new(), String::new());
        let project = pb::WatchedProject { tenant_id: tenant.to_string(), project_id: PROJECT.to_owned() };
        let mut watches = [watch_job(&ended), watch_project(PROJECT)];
        watches[1].scope = Some(pb::watch_jobs_request::Scope::Project(project));
        for watch in &mut watches {
            watch.catch_up_only = true;
            watch.resume_token = alice.watch(watch.clone()).await?.token;
            (watch.from_start, watch.states, watch.intent) = (true, vec![pb::JobState::Done.into()], INTENT.to_owned());
        }
        let [job_watch, project_watch] = watches;
        let mut stage = Self {
            tenant,
            leased,
            approval,
            ended,
            jobs_token,
            events_token,
            projects_token,
            key_token: 0,
            job_watch,
            project_watch,
        };
        stage.jobs_token = alice.list_jobs(stage.listing()).await?.next_page_token;
        stage.events_token = alice.list_job_events(stage.history()).await?.next_page_token;
        let tokens = [&stage.jobs_token, &stage.events_token, &stage.projects_token];
        anyhow::ensure!(tokens.iter().all(|token| !token.is_empty()), "there is a second page");
        let reserved = world.service("memory", &stage.tenant).reserve_key(stage.reservation("reserved")).await?;
        let Some(pb::reserve_key_response::Outcome::Granted(granted)) = reserved.outcome else {
            anyhow::bail!("not granted: {reserved:?}");
        };
        stage.key_token = granted.token;
        Ok(stage)
    }

    fn submission(&self) -> pb::SubmitJobRequest {
        let an_hour_ago = chrono::Utc::now() - chrono::TimeDelta::hours(1);
        let job = job().tenant(&self.tenant).priority(3).attempts_at_most(2).run_budget_s(60);
        let on = Some(pb::dependency::On::JobId(self.ended.clone()));
        let dependencies = vec![pb::Dependency { on, on_failure: pb::OnFailure::Run.into() }];
        pb::SubmitJobRequest {
            dependencies,
            parent_job_id: id_of(&self.leased[0]),
            classification: pb::Classification::Internal.into(),
            residency: pb::Residency::Global.into(),
            ..job.not_before(an_hour_ago)
        }
    }

    fn listing(&self) -> pb::ListJobsRequest {
        pb::ListJobsRequest {
            tenant_id: self.tenant.to_string(),
            states: vec![pb::JobState::Running.into(), pb::JobState::Done.into()],
            intent: INTENT.to_owned(),
            page_size: 1,
            page_token: self.jobs_token.clone(),
            ..list()
        }
    }

    fn history(&self) -> pb::ListJobEventsRequest {
        let page_token = self.events_token.clone();
        pb::ListJobEventsRequest { job_id: id_of(&self.leased[0]), page_size: 1, page_token }
    }

    fn scope(&self, key: &str) -> Option<pb::KeyScope> {
        Some(pb::KeyScope {
            tenant_id: self.tenant.to_string(),
            project_id: PROJECT.to_owned(),
            intent: "memory.write".to_owned(),
            idempotency_key: key.to_owned(),
        })
    }

    fn reservation(&self, key: &str) -> pb::ReserveKeyRequest {
        let content_type = "application/json; charset=utf-8".to_owned();
        pb::ReserveKeyRequest { scope: self.scope(key), request: b"{}".to_vec(), content_type, lease: Some(MINUTE) }
    }

    fn completion(&self) -> pb::CompleteKeyRequest {
        let content_type = "application/json".to_owned();
        pb::CompleteKeyRequest {
            scope: self.scope("reserved"),
            token: self.key_token,
            outcome: b"{}".to_vec(),
            content_type,
        }
    }

    fn settings(&self) -> pb::UpdateProjectRequest {
        let policy = pb::IntentPolicy {
            intent: "repo.review".to_owned(),
            tier_floor: pb::RiskTier::B.into(),
            run_budget: Some(MINUTE),
            human_budget: Some(MINUTE),
            max_attempts: 2,
            retry_initial: Some(SECOND),
            retry_cap: Some(MINUTE),
            retry_window: Some(MINUTE),
            key_window: Some(MINUTE),
            queue_budget: Some(MINUTE),
            on_queue_timeout: pb::QueueTimeoutReaction::TimeOut.into(),
            delegations: Some(pb::Delegations { intents: vec![INTENT.to_owned(), "other.intent".to_owned()] }),
        };
        let settings = pb::ProjectSettings {
            running_max: 1000,
            weight: 3,
            queue_soft: 1000,
            queue_hard: 2000,
            tokens_per_day_max: 1_000_000,
            cost_micros_per_day_max: 10_000_000,
            intents: vec![policy],
        };
        pb::UpdateProjectRequest { tenant_id: self.tenant.to_string(), ..update("beta", 1, settings) }
    }

    fn extension(&self) -> pb::LeaseExtension {
        let progress = Some(pb::Progress { percent: 1, note: "begun".to_owned() });
        pb::LeaseExtension { lease: self.leased[0].lease.clone(), progress }
    }

    fn hello(&self, held: &[pb::LeasedJob]) -> pb::work_request::Hello {
        // Nothing with this intent waits: the session is pushed nothing.
        let intents = vec!["other.intent".to_owned()];
        pb::work_request::Hello { intents, held: held.iter().filter_map(|job| job.lease.clone()).collect(), ..hello(9) }
    }

    /// The requests that a method is tried with.
    pub fn samples(&self, method: &Method) -> Result<Vec<Sample>> {
        let leased = &self.leased;
        let name = format!("{}.{}", method.parent_service().name(), method.name());
        let one = |kind, request: &dyn Encoded| Sample::new(method, kind, request).map(|sample| vec![sample]);
        match name.as_str() {
            "JobService.SubmitJob" => one(Kind::User, &self.submission()),
            "JobService.BatchSubmitJobs" => one(Kind::User, &batch([self.submission()])),
            "JobService.GetJob" => one(Kind::User, &pb::GetJobRequest { job_id: id_of(&leased[0]) }),
            "JobService.ListJobs" => one(Kind::User, &self.listing()),
            "JobService.CancelJob" => one(Kind::User, &cancel(&id_of(&leased[1]))),
            "JobService.DecideJob" => {
                let decision = pb::Decision::Approve.into();
                let request = pb::DecideJobRequest {
                    job_id: self.approval.job_id.clone(),
                    decision,
                    reason: "as discussed".to_owned(),
                    corrects: self.approval.approval_id.clone(),
                    idempotency_key: "the-decision".to_owned(),
                };
                Ok(vec![Sample { role: Role::Owner, ..Sample::new(method, Kind::User, &request)? }])
            }
            "JobService.ListApprovals" => {
                one(Kind::User, &pb::ListApprovalsRequest { job_id: self.approval.job_id.clone() })
            }
            "JobService.ResubmitJob" => {
                let idempotency_key = "again".to_owned();
                one(Kind::User, &pb::ResubmitJobRequest { job_id: self.ended.clone(), idempotency_key })
            }
            "JobService.ListJobEvents" => one(Kind::User, &self.history()),
            "JobService.WatchJobs" => [&self.job_watch, &self.project_watch]
                .map(|request| Ok(Sample { unset: "scope", ..Sample::new(method, Kind::User, request)? }))
                .into_iter()
                .collect(),
            "ProjectService.GetProject" => {
                let (tenant_id, project_id) = (self.tenant.to_string(), "beta".to_owned());
                one(Kind::User, &pb::GetProjectRequest { tenant_id, project_id })
            }
            "ProjectService.UpdateProject" => {
                Ok(vec![Sample { role: Role::Owner, ..Sample::new(method, Kind::User, &self.settings())? }])
            }
            "ProjectService.ListProjects" => {
                let (tenant_id, page_token) = (self.tenant.to_string(), self.projects_token.clone());
                one(Kind::User, &pb::ListProjectsRequest { tenant_id, page_size: 1, page_token })
            }
            "WorkerService.Work" => self.messages(method),
            "WorkerService.LeaseJobs" => one(
                Kind::Worker,
                &pb::LeaseJobsRequest { intents: vec![INTENT.to_owned()], wait: Some(SECOND), ..lease(1) },
            ),
            "WorkerService.ExtendLeases" => {
                one(Kind::Worker, &pb::ExtendLeasesRequest { leases: vec![self.extension()] })
            }
            "WorkerService.CompleteJob" => one(Kind::Worker, &complete(&leased[2], json("1"))),
            "WorkerService.FailJob" => one(Kind::Worker, &fail(&leased[3], true)),
            "UsageService.RecordUsage" => {
                let usage =
                    pb::Usage { lease: leased[0].lease.clone(), output_tokens: 2, ..usage(&id_of(&leased[0]), 1, 3) };
                one(Kind::Service, &reports([usage]))
            }
            "UsageService.GetBudget" => {
                let request = budget(pb::BudgetScope::Project, PROJECT);
                one(Kind::Service, &pb::GetBudgetRequest { tenant_id: self.tenant.to_string(), ..request })
            }
            "IdempotencyService.ReserveKey" => one(Kind::Service, &self.reservation("fresh")),
            "IdempotencyService.CompleteKey" => one(Kind::Service, &self.completion()),
            "IdempotencyService.GetKey" => one(Kind::Service, &pb::GetKeyRequest { scope: self.scope("reserved") }),
            unknown => anyhow::bail!("this test does not know {unknown}: say here what a valid request is"),
        }
    }

    /// Each message that a worker says, between a hello and a farewell.
    fn messages(&self, method: &Method) -> Result<Vec<Sample>> {
        let leased = &self.leased;
        let message = |message: In| pb::WorkRequest { message: Some(message) };
        let hello = message(In::Hello(self.hello(&[])));
        let farewell = message(In::Drain(Drain::default()));
        let drain = |job: &pb::LeasedJob| Drain { release: job.lease.iter().cloned().collect() };
        let inner = [
            In::Heartbeat(Heartbeat { leases: vec![self.extension()] }),
            In::Complete(complete(&leased[4], json("1"))),
            In::Fail(fail(&leased[5], true)),
            In::Drain(drain(&leased[6])),
        ];
        let mut samples = vec![Sample {
            after: vec![message(In::Drain(drain(&leased[7]))).encode_to_vec()],
            unset: "hello",
            ..Sample::new(method, Kind::Worker, &message(In::Hello(self.hello(&leased[7..]))))?
        }];
        for member in inner {
            samples.push(Sample {
                before: vec![hello.encode_to_vec()],
                after: vec![farewell.encode_to_vec()],
                ..Sample::new(method, Kind::Worker, &message(member))?
            });
        }
        let tried: Vec<_> = samples.iter().flat_map(|sample| sample.message.fields().map(|(field, _)| field)).collect();
        for member in method.input().fields() {
            anyhow::ensure!(tried.contains(&member), "this test does not know how a worker says {}", member.name());
        }
        Ok(samples)
    }

    /// All of them.
    pub fn all(&self) -> Result<Vec<Sample>> {
        let samples: Vec<Vec<Sample>> = methods().iter().map(|method| self.samples(method)).collect::<Result<_>>()?;
        Ok(samples.into_iter().flatten().collect())
    }
}

const SECOND: prost_types::Duration = prost_types::Duration { seconds: 1, nanos: 0 };

trait Encoded {
    fn encoded(&self) -> Vec<u8>;
}

impl<M: Message> Encoded for M {
    fn encoded(&self) -> Vec<u8> {
        self.encode_to_vec()
    }
}

/// A valid request of a kind of caller, and what is said around it where it is one message of many.
pub struct Sample {
    pub method: Method,
    kind: Kind,
    role: Role,
    before: Vec<Vec<u8>>,
    pub message: DynamicMessage,
    after: Vec<Vec<u8>>,
    /// What a message without any member of its oneof is told to be missing.
    pub unset: &'static str,
}

impl Sample {
    fn new(method: &Method, kind: Kind, request: &dyn Encoded) -> Result<Self> {
        let message = DynamicMessage::decode(method.input(), request.encoded().as_slice())
            .with_context(|| format!("{} takes another message", method.full_name()))?;
        Ok(Self {
            method: method.clone(),
            kind,
            role: Role::ProjectMaintainer,
            before: Vec::new(),
            message,
            after: Vec::new(),
            unset: "message",
        })
    }

    /// Sends a message in the place of the valid one, as somebody of these tenants.
    pub async fn send(
        &self,
        world: &World,
        tenants: &[TenantId],
        message: Vec<u8>,
    ) -> Result<Vec<Vec<u8>>, tonic::Status> {
        let spec = match self.kind {
            Kind::User => TokenSpec::user(actor("alice"), tenants[0].clone(), self.role),
            kind => TokenSpec { kind, ..worker(if kind == Kind::Worker { "worker-1" } else { "memory" }, &tenants[0]) },
        };
        let api = world.caller(spec.tenants(tenants.iter().cloned()));
        let messages = self.before.iter().cloned().chain([message]).chain(self.after.iter().cloned());
        api.raw(&self.method, messages.collect()).await
    }
}
