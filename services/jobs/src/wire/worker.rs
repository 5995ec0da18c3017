//! What workers say and are told.

use std::time::Duration;

use holdfast_fault::Fault;
use holdfast_ids::{Intent, JobId, LeaseId, WorkerId};
use holdfast_proto::jobs::v1 as pb;

use super::field::{duration, elements, id, in_range, named, payload, required, text, timestamp, wire_duration};
use super::job::{classification, known_queue, queue, residency, state, tier};
use crate::app::answer::{Answered, LeaseRef, Verdict};
use crate::app::lease::{Leased, Renewal};
use crate::domain::job::{Queue, StateName, Time};
use crate::domain::transition::Reported;

const CAPACITY_MAX: i32 = 1000;
const WAIT_MAX: Duration = Duration::from_secs(30);
const FAILURE_CODE_CHARS_MAX: usize = 64;
const FAILURE_MESSAGE_CHARS_MAX: usize = 1024;
const PROGRESS_NOTE_CHARS_MAX: usize = 256;
const ANY_INTENT: &str = "*";

/// What a worker asks to lease.
#[derive(Debug, Clone)]
pub struct Offer {
    pub worker_id: WorkerId,
    pub intents: Vec<Intent>,
    pub any_intent: bool,
    pub queues: Vec<Queue>,
    pub jobs_max: i32,
}

fn offer(worker_id: &str, intents: Vec<String>, queues: Vec<i32>, jobs: (&str, i32)) -> Result<Offer, Fault> {
    let intents = elements("intents", intents, 1)?;
    let any_intent = intents.iter().any(|intent| intent == ANY_INTENT);
    let mut queues = elements("queues", queues, 1)?
        .into_iter()
        .enumerate()
        .map(|(index, number)| named(&format!("queues[{index}]"), number, known_queue))
        .collect::<Result<Vec<_>, _>>()?;
    queues.sort();
    queues.dedup();
    Ok(Offer {
        worker_id: id("worker_id", worker_id, WorkerId::parse)?,
        intents: intents
            .iter()
            .enumerate()
            .filter(|(_, intent)| *intent != ANY_INTENT)
            .map(|(index, intent)| id(&format!("intents[{index}]"), intent, Intent::parse))
            .collect::<Result<_, _>>()?,
        any_intent,
        queues,
        jobs_max: in_range(jobs.0, jobs.1, 1..=CAPACITY_MAX)?,
    })
}

/// The hello of a session: the offer, and the leases held from before.
pub fn hello(hello: pb::work_request::Hello) -> Result<(Offer, Vec<LeaseRef>), Fault> {
    let held = lease_refs("held", hello.held)?;
    Ok((offer(&hello.worker_id, hello.intents, hello.queues, ("capacity", hello.capacity))?, held))
}

pub fn lease_request(request: pb::LeaseJobsRequest) -> Result<(Offer, Duration), Fault> {
    let wait = request.wait.map(|wait| duration("wait", wait, Duration::ZERO, WAIT_MAX)).transpose()?;
    let offer = offer(&request.worker_id, request.intents, request.queues, ("max_jobs", request.max_jobs))?;
    Ok((offer, wait.unwrap_or_default()))
}

pub fn lease_ref(prefix: &str, lease: Option<pb::LeaseRef>) -> Result<LeaseRef, Fault> {
    let lease = required(prefix.trim_end_matches('.'), lease)?;
    let fence = i64::try_from(lease.fencing_token).ok().filter(|fence| *fence > 0);
    Ok(LeaseRef {
        job_id: id(&format!("{prefix}job_id"), &lease.job_id, JobId::parse)?,
        lease_id: id(&format!("{prefix}lease_id"), &lease.lease_id, LeaseId::parse)?,
        fence: fence.ok_or_else(|| match lease.fencing_token {
            0 => Fault::missing(format!("{prefix}fencing_token")),
            _ => Fault::invalid(format!("{prefix}fencing_token"), "is not a fencing token"),
        })?,
    })
}

pub fn lease_refs(field: &str, leases: Vec<pb::LeaseRef>) -> Result<Vec<LeaseRef>, Fault> {
    elements(field, leases, 0)?
        .into_iter()
        .enumerate()
        .map(|(index, lease)| lease_ref(&format!("{field}[{index}]."), Some(lease)))
        .collect()
}

pub fn completion(request: pb::CompleteJobRequest) -> Result<(LeaseRef, Verdict), Fault> {
    let lease = lease_ref("lease.", request.lease)?;
    let result = payload("result", required("result", request.result)?)?;
    Ok((lease, Verdict::Complete(result)))
}

pub fn failure(request: pb::FailJobRequest) -> Result<(LeaseRef, Verdict), Fault> {
    let lease = lease_ref("lease.", request.lease)?;
    if request.code.is_empty() {
        return Err(Fault::missing("code"));
    }
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if request.code.len() > FAILURE_CODE_CHARS_MAX || !request.code.bytes().all(word) {
        let allowed = format!("may only hold a-z, 0-9 and '_', at most {FAILURE_CODE_CHARS_MAX}");
        return Err(Fault::invalid("code", allowed));
    }
    let message = text("message", request.message, FAILURE_MESSAGE_CHARS_MAX)?;
    Ok((lease, Verdict::Fail(Reported { retryable: request.retryable, code: request.code, message })))
}

/// Leases to renew, each malformed or not by itself.
pub fn renewals(
    field: &str,
    leases: Vec<pb::LeaseExtension>,
    count_min: usize,
) -> Result<Vec<Result<Renewal, Fault>>, Fault> {
    let extensions = elements(field, leases, count_min)?.into_iter().enumerate();
    Ok(extensions.map(|(index, extension)| renewal(&format!("{field}[{index}]."), extension)).collect())
}

fn renewal(prefix: &str, extension: pb::LeaseExtension) -> Result<Renewal, Fault> {
    let progress = extension.progress;
    Ok(Renewal {
        lease: lease_ref(&format!("{prefix}lease."), extension.lease)?,
        progress_percent: progress
            .as_ref()
            .map(|progress| in_range(&format!("{prefix}progress.percent"), progress.percent, 0..=100))
            .transpose()?
            .map(|percent| percent as i16),
        progress_note: progress
            .map(|progress| text(&format!("{prefix}progress.note"), progress.note, PROGRESS_NOTE_CHARS_MAX))
            .transpose()?,
    })
}

pub fn wire_lease(lease: LeaseRef) -> pb::LeaseRef {
    pb::LeaseRef {
        job_id: lease.job_id.to_string(),
        lease_id: lease.lease_id.to_string(),
        fencing_token: lease.fence.unsigned_abs(),
    }
}

pub fn extension_result(lease: Option<pb::LeaseRef>, outcome: Result<Time, Fault>) -> pb::LeaseExtensionResult {
    use pb::lease_extension_result::Outcome;
    let outcome = match outcome {
        Ok(expires_at) => Outcome::LeaseExpiresAt(timestamp(expires_at)),
        Err(fault) => Outcome::Error(fault.to_rpc_status()),
    };
    pb::LeaseExtensionResult { lease, outcome: Some(outcome) }
}

impl From<Leased> for pb::LeasedJob {
    fn from(leased: Leased) -> Self {
        let facts = leased.job.facts;
        let (traceparent, tracestate) = facts.traceparent.split_once(' ').unwrap_or((&facts.traceparent, ""));
        Self {
            lease: Some(wire_lease(LeaseRef {
                job_id: facts.job_id,
                lease_id: leased.lease.lease_id,
                fence: leased.lease.fence,
            })),
            tenant_id: facts.tenant_id.to_string(),
            project_id: facts.project_id.to_string(),
            intent: facts.intent.to_string(),
            queue: queue(facts.queue).into(),
            tier: tier(facts.tier).into(),
            classification: classification(facts.labels.classification).into(),
            residency: residency(facts.labels.residency).into(),
            priority: facts.priority.into(),
            attempt: leased.job.progressed.attempt,
            actor_id: facts.actor_id.to_string(),
            idempotency_key: facts.idempotency_key.to_string(),
            payload: Some(super::job::payload(leased.payload)),
            lease_expires_at: Some(timestamp(leased.lease.expires_at)),
            run_deadline: Some(timestamp(leased.lease.run_deadline)),
            created_at: Some(timestamp(facts.created_at)),
            request_id: facts.request_id,
            traceparent: traceparent.to_owned(),
            tracestate: tracestate.to_owned(),
        }
    }
}

impl From<Answered> for pb::CompleteJobResponse {
    fn from(answered: Answered) -> Self {
        Self {
            state: state(answered.state).into(),
            finished_at: Some(timestamp(answered.at)),
            replayed: answered.replayed,
        }
    }
}

impl From<Answered> for pb::FailJobResponse {
    fn from(answered: Answered) -> Self {
        Self {
            state: state(answered.state).into(),
            next_attempt_at: answered.next_attempt_at.filter(|_| answered.state == StateName::Retrying).map(timestamp),
            replayed: answered.replayed,
        }
    }
}

/// How long leases last, and how often to heartbeat: at most a third of it.
pub fn lease_terms(ttl: Duration) -> (Option<prost_types::Duration>, Option<prost_types::Duration>) {
    (Some(wire_duration(ttl)), Some(wire_duration(ttl / 3)))
}
