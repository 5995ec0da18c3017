//! The JobService: submit, look, decide.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use pb::job_service_client::JobServiceClient;
use prost::Message as _;
use tokio::time::{Instant, sleep};

use crate::{
    Client, Error, IdempotencyKey,
    payload::{time, timestamp, wire_duration},
    pb::{
        self, Approval, Classification, Decision, Job, JobEvent, JobState, OnFailure, Payload, Queue, Residency,
        RiskTier,
    },
};

/// What one call of a batch may hold.
const BATCH_ITEMS_MAX: usize = 1_000;
/// A little below the contract's 1 MiB, for what frames the items.
const BATCH_BYTES_MAX: usize = 1024 * 1024 - 4 * 1024;
pub(crate) const PAGE_ITEMS: i32 = 500;

/// A job to be submitted. What has no default is asked for by [`NewJob::new`]; the rest is plain fields.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub project: String,
    /// What is to be done, `repo.digest`.
    pub intent: String,
    pub key: IdempotencyKey,
    pub payload: Payload,
    /// Needed only where the token names several tenants.
    pub tenant: Option<String>,
    pub queue: Queue,
    /// A job of tier C waits for a person's decision first.
    pub tier: RiskTier,
    /// 0 to 9, 9 first, within its project.
    pub priority: u8,
    /// Not before this time; at most 7 days ahead.
    pub run_after: Option<DateTime<Utc>>,
    /// Time under lease over all attempts; the intent's where None.
    pub run_budget: Option<Duration>,
    /// The intent's where None.
    pub max_attempts: Option<u16>,
    /// The job on whose behalf this one is done.
    pub parent: Option<String>,
    /// Jobs that have to end before this one runs, each with what becomes of this one where that is not done.
    pub after: Vec<(String, OnFailure)>,
    /// How sensitive its data is; the parent's or the deployment's where None.
    pub classification: Option<Classification>,
    /// Where its data may be kept; the parent's, the tenant's or the deployment's where None.
    pub residency: Option<Residency>,
}

impl NewJob {
    /// A job of tier A in the queue of its project, to be run at once and on the intent's terms.
    pub fn new(project: impl Into<String>, intent: impl Into<String>, key: IdempotencyKey, payload: Payload) -> Self {
        Self {
            project: project.into(),
            intent: intent.into(),
            key,
            payload,
            tenant: None,
            queue: Queue::Project,
            tier: RiskTier::A,
            priority: 0,
            run_after: None,
            run_budget: None,
            max_attempts: None,
            parent: None,
            after: Vec::new(),
            classification: None,
            residency: None,
        }
    }
}

impl From<NewJob> for pb::SubmitJobRequest {
    fn from(job: NewJob) -> Self {
        let constraints = pb::Constraints {
            run_budget: job.run_budget.map(wire_duration),
            max_attempts: job.max_attempts.unwrap_or_default().into(),
        };
        let mut request = Self {
            project_id: job.project,
            intent: job.intent,
            idempotency_key: String::from(&job.key),
            payload: Some(job.payload),
            ..Self::default()
        };
        request.tenant_id = job.tenant.unwrap_or_default();
        request.queue = job.queue.into();
        request.tier = job.tier.into();
        request.priority = job.priority.into();
        request.run_after = job.run_after.map(timestamp);
        request.constraints = (constraints != pb::Constraints::default()).then_some(constraints);
        request.parent_job_id = job.parent.unwrap_or_default();
        let dependency = |(job_id, on_failure): (String, OnFailure)| pb::Dependency {
            on: Some(pb::dependency::On::JobId(job_id)),
            on_failure: on_failure.into(),
        };
        request.classification = job.classification.map_or(0, Into::into);
        request.residency = job.residency.map_or(0, Into::into);
        request.dependencies = job.after.into_iter().map(dependency).collect();
        request
    }
}

/// What came of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    pub job_id: String,
    /// At the time of the answer.
    pub state: JobState,
    /// The key had queued the job before.
    pub replayed: bool,
    /// When the key may be used anew.
    pub window_end: Option<DateTime<Utc>>,
    /// How many windows this key has begun; 1 for the first.
    pub generation: i64,
}

impl From<pb::SubmitJobResponse> for Submitted {
    fn from(answer: pb::SubmitJobResponse) -> Self {
        Self {
            state: answer.state(),
            window_end: time(answer.window_end.as_ref()),
            job_id: answer.job_id,
            replayed: answer.replayed,
            generation: answer.generation,
        }
    }
}

/// Which jobs of a project are listed; all where nothing is said.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    pub project: String,
    /// Needed only where the token names several tenants.
    pub tenant: Option<String>,
    /// Any of these.
    pub states: Vec<JobState>,
    pub intent: Option<String>,
}

/// A person's decision about a job of tier C.
#[derive(Debug, Clone)]
pub struct NewDecision {
    pub decision: Decision,
    /// Required unless it approves.
    pub reason: String,
    /// The id of the job's latest decision, where this one corrects it.
    pub corrects: Option<String>,
    pub key: IdempotencyKey,
}

#[derive(Debug, Clone)]
pub struct Decided {
    pub job: Job,
    pub approval: Approval,
    pub replayed: bool,
}

#[derive(Debug, Clone)]
pub struct Cancelled {
    pub job: Job,
    pub replayed: bool,
}

/// Calls about jobs. Jobs are answered as the contract has them ([`pb::Job`]); [`JobExt`](crate::JobExt) and
/// [`time`] read what a program wants to know of one.
#[derive(Clone)]
pub struct Jobs {
    pub(crate) client: Client,
}

/// One call by the name of its method.
macro_rules! call {
    ($self:ident, $method:ident, $message:expr) => {
        $self
            .client
            .call($message, |channel, request| async move { JobServiceClient::new(channel).$method(request).await })
    };
}

impl Jobs {
    /// Queues the job, or answers with the one that its key queued before.
    pub async fn submit(&self, job: NewJob) -> Result<Submitted, Error> {
        Ok(call!(self, submit_job, pb::SubmitJobRequest::from(job)).await?.into())
    }

    /// Queues as many jobs as there are, in as few calls as the contract's limits allow. Each has its own outcome, in the
    /// order given; where a call as a whole failed, each of its jobs has its error.
    pub async fn submit_all(&self, jobs: impl IntoIterator<Item = NewJob>) -> Vec<Result<Submitted, Error>> {
        let requests: Vec<pb::SubmitJobRequest> = jobs.into_iter().map(Into::into).collect();
        let mut outcomes = Vec::with_capacity(requests.len());
        for batch in batches(requests) {
            match self.send_batch(&batch).await {
                Ok(sent) => outcomes.extend(sent),
                Err(error) => outcomes.extend(vec![Err(error); batch.len()]),
            }
        }
        outcomes
    }

    /// Until no item is left that can succeed later, or the time of one call is over.
    async fn send_batch(&self, batch: &[pb::SubmitJobRequest]) -> Result<Vec<Result<Submitted, Error>>, Error> {
        let (shared, began) = (&self.client.shared, Instant::now());
        let is_open = |outcome: &Result<Submitted, Error>| outcome.as_ref().is_err_and(Error::is_retryable);
        let mut outcomes = self.send_once(batch).await?;
        for retries in 0_u32.. {
            let open = outcomes.iter().filter(|outcome| is_open(outcome));
            let waits = open.filter_map(|outcome| outcome.as_ref().err()).map(|error| error.retry_after);
            let Some(retry_after) = waits.max() else { break };
            let delay = shared.retry.delay(retries, retry_after);
            if began.elapsed() + delay >= shared.call_timeout || !shared.budget.retry() {
                break;
            }
            sleep(delay).await;
            // All of it, under the same keys: those that are queued are found again, and what they were told stands.
            let Ok(again) = self.send_once(batch).await else { break };
            for (outcome, again) in outcomes.iter_mut().zip(again) {
                if is_open(outcome) {
                    *outcome = again;
                }
            }
        }
        Ok(outcomes)
    }

    async fn send_once(&self, batch: &[pb::SubmitJobRequest]) -> Result<Vec<Result<Submitted, Error>>, Error> {
        use pb::batch_submit_jobs_result::Outcome;
        let request = pb::BatchSubmitJobsRequest { jobs: batch.to_vec() };
        let results = call!(self, batch_submit_jobs, request).await?.results;
        if results.len() != batch.len() {
            return Err(Error::bad_answer("the answer has not one result a job"));
        }
        let outcomes = results.into_iter().map(|result| match result.outcome {
            Some(Outcome::Job(job)) => Ok(job.into()),
            Some(Outcome::Error(status)) => Err(Error::of_item(&status)),
            None => Err(Error::bad_answer("the answer has a result without an outcome")),
        });
        Ok(outcomes.collect())
    }

    pub async fn get(&self, job_id: &str) -> Result<Job, Error> {
        let answer = call!(self, get_job, pb::GetJobRequest { job_id: job_id.to_owned() }).await?;
        Error::unless_there(answer.job)
    }

    /// Newest first, without payloads and results. Pages are fetched as the stream is read.
    pub fn list(&self, filter: JobFilter) -> BoxStream<'static, Result<Job, Error>> {
        let jobs = self.clone();
        let first = pb::ListJobsRequest {
            tenant_id: filter.tenant.unwrap_or_default(),
            project_id: filter.project,
            states: filter.states.into_iter().map(Into::into).collect(),
            intent: filter.intent.unwrap_or_default(),
            page_size: PAGE_ITEMS,
            page_token: String::new(),
        };
        pages(move |page_token| {
            let (jobs, request) = (jobs.clone(), pb::ListJobsRequest { page_token, ..first.clone() });
            async move {
                let page = call!(jobs, list_jobs, request).await?;
                Ok((page.jobs, page.next_page_token))
            }
        })
    }

    /// The job's history, oldest first. Pages are fetched as the stream is read.
    pub fn events(&self, job_id: &str) -> BoxStream<'static, Result<JobEvent, Error>> {
        let (jobs, job_id) = (self.clone(), job_id.to_owned());
        pages(move |page_token| {
            let request = pb::ListJobEventsRequest { job_id: job_id.clone(), page_size: PAGE_ITEMS, page_token };
            let jobs = jobs.clone();
            async move {
                let page = call!(jobs, list_job_events, request).await?;
                Ok((page.events, page.next_page_token))
            }
        })
    }

    /// Ends a job that is neither final nor waits for a decision (reject that). `reason` is kept in its history.
    pub async fn cancel(&self, job_id: &str, reason: &str, key: &IdempotencyKey) -> Result<Cancelled, Error> {
        let (job_id, reason) = (job_id.to_owned(), reason.to_owned());
        let request = pb::CancelJobRequest { job_id, reason, idempotency_key: key.into() };
        let answer = call!(self, cancel_job, request).await?;
        Ok(Cancelled { job: Error::unless_there(answer.job)?, replayed: answer.replayed })
    }

    /// Records a person's decision about a job of tier C, and moves the job by it.
    pub async fn decide(&self, job_id: &str, decision: NewDecision) -> Result<Decided, Error> {
        let request = pb::DecideJobRequest {
            job_id: job_id.to_owned(),
            decision: decision.decision.into(),
            reason: decision.reason,
            corrects: decision.corrects.unwrap_or_default(),
            idempotency_key: String::from(&decision.key),
        };
        let answer = call!(self, decide_job, request).await?;
        let (job, approval) = (Error::unless_there(answer.job)?, Error::unless_there(answer.approval)?);
        Ok(Decided { job, approval, replayed: answer.replayed })
    }

    /// The decisions about a job, oldest first.
    pub async fn approvals(&self, job_id: &str) -> Result<Vec<Approval>, Error> {
        let request = pb::ListApprovalsRequest { job_id: job_id.to_owned() };
        Ok(call!(self, list_approvals, request).await?.approvals)
    }

    /// Submits a job that has ended once more, as a new job under a new key.
    pub async fn resubmit(&self, job_id: &str, key: &IdempotencyKey) -> Result<Submitted, Error> {
        let request = pb::ResubmitJobRequest { job_id: job_id.to_owned(), idempotency_key: key.into() };
        Ok(Error::unless_there(call!(self, resubmit_job, request).await?.job)?.into())
    }
}

/// The items of one page after the other.
pub(crate) fn pages<T, F>(fetch: impl Fn(String) -> F + Send + 'static) -> BoxStream<'static, Result<T, Error>>
where
    T: Send + 'static,
    F: Future<Output = Result<(Vec<T>, String), Error>> + Send + 'static,
{
    let pages = stream::try_unfold(Some(String::new()), move |page_token| {
        let page = page_token.map(&fetch);
        async move {
            let Some(page) = page else { return Ok::<_, Error>(None) };
            let (items, next) = page.await?;
            let next = (!next.is_empty()).then_some(next);
            Ok(Some((stream::iter(items.into_iter().map(Ok)), next)))
        }
    });
    pages.try_flatten().boxed()
}

/// As few as the limits allow. One that is too large by itself is sent by itself: the service says what is wrong with it.
fn batches(requests: Vec<pb::SubmitJobRequest>) -> Vec<Vec<pb::SubmitJobRequest>> {
    let mut batches: Vec<Vec<pb::SubmitJobRequest>> = Vec::new();
    let mut bytes = 0;
    for request in requests {
        let own = prost::length_delimiter_len(request.encoded_len()) + request.encoded_len() + 1;
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH_ITEMS_MAX && bytes + own <= BATCH_BYTES_MAX => {
                bytes += own;
                batch.push(request);
            }
            _ => {
                bytes = own;
                batches.push(vec![request]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(count: usize, payload_bytes: usize) -> Vec<pb::SubmitJobRequest> {
        let payload = crate::bytes(vec![b'x'; payload_bytes], "text/plain");
        let job = |n: usize| NewJob::new("p", "i", IdempotencyKey::from_content("t", [n.to_string()]), payload.clone());
        (0..count).map(|n| job(n).into()).collect()
    }

    #[test]
    fn batches_hold_what_a_call_may_and_keep_the_order() {
        let sizes = |requests| batches(requests).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(requests(0, 0)), [0; 0]);
        assert_eq!(sizes(requests(2_001, 0)), [1_000, 1_000, 1]);
        assert_eq!(sizes(requests(3, 600 * 1024)), [1, 1, 1]);
        assert_eq!(sizes(requests(2, 2 * 1024 * 1024)), [1, 1], "too large, and the service's to refuse");
        for batch in batches(requests(5_000, 1_000)) {
            let whole = pb::BatchSubmitJobsRequest { jobs: batch }.encoded_len();
            assert!(whole <= BATCH_BYTES_MAX, "{whole}");
        }
        assert_eq!(batches(requests(2_001, 1)).concat(), requests(2_001, 1));
    }

    #[test]
    fn what_is_not_said_is_left_to_the_intent() {
        let request = requests(1, 0).remove(0);
        assert_eq!((request.constraints, request.run_after, request.parent_job_id.as_str()), (None, None, ""));
    }
}
