//! What a handler is given, and what it answers with.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::error::flaw;
use crate::{
    CallContext, Client, Error, IdempotencyKey, ModelUsage, Payload, UsageError,
    payload::time,
    pb::{LeaseRef, LeasedJob, Progress, Usage, record_usage_result::Recorded},
    usage::usage,
};

const FAILURE_CODE_CHARS_MAX: usize = 64;
const FAILURE_MESSAGE_CHARS_MAX: usize = 1_024;
const NOTE_CHARS_MAX: usize = 256;

/// A job under a lease of this worker. Every field of the contract's LeasedJob can be read from it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Job(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    leased: LeasedJob,
    lease: LeaseRef,
    client: Client,
    stopped: CancellationToken,
    progress: Mutex<Option<Progress>>,
}

impl Job {
    pub(super) fn new(leased: LeasedJob, client: Client) -> Option<Self> {
        let lease = leased.lease.clone()?;
        let (stopped, progress) = (CancellationToken::new(), Mutex::new(None));
        Some(Self(Arc::new(Inner { leased, lease, client, stopped, progress })))
    }

    pub fn id(&self) -> &str {
        &self.0.lease.job_id
    }

    pub fn lease(&self) -> &LeaseRef {
        &self.0.lease
    }

    /// Grows with each lease of the job. Pass it along with whatever is written elsewhere, and let the place that it is
    /// written to refuse a lower one than it has seen: that is what stops a worker that slept through its lease.
    pub fn fencing_token(&self) -> u64 {
        self.0.lease.fencing_token
    }

    pub fn data(&self) -> &[u8] {
        self.0.leased.payload.as_ref().map_or(&[], |payload| &payload.data)
    }

    /// The payload as what it should be. What it is not now it will not be in the next attempt: fails the job for good.
    pub fn payload_json<T: DeserializeOwned>(&self) -> Result<T, JobError> {
        serde_json::from_slice(self.data())
            .map_err(|error| JobError::permanent("payload_invalid", format!("the payload {}", flaw(&error))))
    }

    /// When the run budget is used up, however often the lease is extended; by the database's clock.
    pub fn deadline(&self) -> Option<DateTime<Utc>> {
        time(self.0.leased.run_deadline.as_ref())
    }

    /// Cancelled when the work is to stop: the lease is lost or revoked (the job was cancelled, timed out, or given to
    /// somebody else), or the worker ends and its patience is over. The handler may clean up for as long as
    /// [`WorkerSpec::stop_patience`](crate::WorkerSpec::stop_patience) says, then it is dropped where it awaits.
    pub fn stopped(&self) -> &CancellationToken {
        &self.0.stopped
    }

    /// Tells how far the work is, with the next heartbeat. `percent` is at most 100, `note` at most 256 characters.
    pub fn progress(&self, percent: u8, note: &str) {
        let note = note.chars().filter(is_text).take(NOTE_CHARS_MAX).collect();
        let progress = Progress { percent: percent.min(100).into(), note };
        *self.0.progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
    }

    /// Records what a call of a model has cost, under this lease. `call` names it within the attempt: the same name is the
    /// same call, however often it is recorded; another attempt's is another, since it was paid for again.
    ///
    /// Fails with [`UsageError::Exceeded`] where a budget is exceeded with it. `?` is what a handler does then.
    pub async fn record_usage(&self, call: &str, used: ModelUsage) -> Result<Recorded, UsageError> {
        let key = IdempotencyKey::from_content("usage", [&self.0.lease.lease_id, call]);
        let usage = Usage { lease: Some(self.0.lease.clone()), ..usage(&key, used) };
        self.0.client.within(self.context()).usage().send(usage).await
    }

    /// For calls that are made on behalf of this job: they belong to the trace of its submission.
    pub fn context(&self) -> CallContext {
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        let leased = &self.0.leased;
        CallContext { request_id: None, traceparent: some(&leased.traceparent), tracestate: some(&leased.tracestate) }
    }

    pub(super) fn latest_progress(&self) -> Option<Progress> {
        self.0.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Deref for Job {
    type Target = LeasedJob;

    fn deref(&self) -> &LeasedJob {
        &self.0.leased
    }
}

/// What the contract takes as text: no control characters but line breaks and tabs.
fn is_text(character: &char) -> bool {
    !character.is_control() || matches!(character, '\n' | '\r' | '\t')
}

/// Why an attempt failed. Goes into history and events: no secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobError {
    pub(super) retryable: bool,
    pub(super) code: String,
    pub(super) message: String,
}

impl JobError {
    /// Another attempt may succeed: the job is tried again after its back-off, while it has attempts left.
    pub fn retryable(code: impl AsRef<str>, message: impl ToString) -> Self {
        Self::new(true, code.as_ref(), &message.to_string())
    }

    /// No attempt will: the job has failed.
    pub fn permanent(code: impl AsRef<str>, message: impl ToString) -> Self {
        Self::new(false, code.as_ref(), &message.to_string())
    }

    /// As the service takes it, whatever a program wrote: a malformed answer would end the session, and the job would count
    /// as lost with it. Of a long message the end is kept, which is what says why.
    fn new(retryable: bool, code: &str, message: &str) -> Self {
        let word = |character: char| match character.to_ascii_lowercase() {
            character if character.is_ascii_lowercase() || character.is_ascii_digit() => character,
            _ => '_',
        };
        let code: String = code.chars().take(FAILURE_CODE_CHARS_MAX).map(word).collect();
        let code = if code.is_empty() { "failed".to_owned() } else { code };
        let skipped = message.chars().count().saturating_sub(FAILURE_MESSAGE_CHARS_MAX);
        let message = message.chars().skip(skipped).filter(is_text).collect();
        Self { retryable, code, message }
    }

    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    pub fn code(&self) -> &str {
        &self.code
    }

    pub fn message(&self) -> &str {
        &self.message
    }
}

/// A call that the handler made: whether it can succeed later is what the job's next attempt depends on.
impl From<Error> for JobError {
    fn from(error: Error) -> Self {
        Self::new(error.is_retryable(), &error.name(), &error.message)
    }
}

/// A result that cannot be written as JSON.
impl From<serde_json::Error> for JobError {
    fn from(error: serde_json::Error) -> Self {
        Self::permanent("result_invalid", format!("the result {}", flaw(&error)))
    }
}

/// What a handler answers.
pub(super) type Verdict = Result<Payload, JobError>;

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        let client = Client::builder("http://127.0.0.1:1").build().unwrap();
        Job::new(LeasedJob { lease: Some(LeaseRef::default()), ..LeasedJob::default() }, client).unwrap()
    }

    #[test]
    fn a_long_message_keeps_its_end() {
        let error = JobError::retryable("code", format!("{}the cause", "noise ".repeat(1_000)));
        assert_eq!(error.message().chars().count(), FAILURE_MESSAGE_CHARS_MAX);
        assert!(error.message().ends_with("the cause"));
    }

    #[test]
    fn a_message_in_colour_loses_its_control_characters() {
        assert_eq!(JobError::retryable("code", "\u{1b}[31merror\u{1b}[0m:\n\tbad\0").message(), "[31merror[0m:\n\tbad");
    }

    #[test]
    fn any_code_becomes_one_that_the_service_takes() {
        for (code, taken) in [("disk_full", "disk_full"), ("JOB-404 é", "job_404__"), ("", "failed")] {
            assert_eq!(JobError::permanent(code, "").code(), taken);
        }
        assert_eq!(JobError::permanent("x".repeat(100), "").code().len(), FAILURE_CODE_CHARS_MAX);
    }

    #[tokio::test]
    async fn progress_is_made_to_fit_its_limits() {
        let job = job();
        job.progress(250, &format!("\u{7}{}", "é".repeat(1_000)));
        let progress = job.latest_progress().unwrap();
        assert_eq!((progress.percent, progress.note), (100, "é".repeat(NOTE_CHARS_MAX)));
    }

    #[tokio::test]
    async fn a_payload_that_is_not_what_it_should_be_fails_the_job_for_good() {
        let client = Client::builder("http://127.0.0.1:1").build().unwrap();
        let payload = Some(crate::json(&"secret").unwrap());
        let leased = LeasedJob { lease: Some(LeaseRef::default()), payload, ..LeasedJob::default() };
        let error = Job::new(leased, client).unwrap().payload_json::<u32>().unwrap_err();
        assert!(!error.is_retryable() && error.code() == "payload_invalid");
        // Failures are kept and told; what the payload holds is neither.
        assert_eq!(error.message(), "the payload is JSON of another form than expected, at line 1 column 8");
    }
}
