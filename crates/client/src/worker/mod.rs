//! Works on jobs: one session after another on the Work stream, until it is told to stop.
//!
//! Promises: a lease that was given is worked on once, extended while it is worked on, and answered; an answer whose
//! acknowledgement was lost with the connection is sent again on the next, under the same lease, and the service answers
//! it the same; a result that the service refuses fails the job for good; a handler that panics has failed its attempt.
//! Work whose lease is lost is told to stop and never answered for: when the service says so, and also when the lease has
//! run out by this side's clock because nobody was heard of. Told to stop, the worker takes nothing more, finishes what it
//! holds within its patience and gives back the rest.
//!
//! It ends with an error only where trying again cannot help: a refused token or role, a malformed hello.

mod held;
mod in_hand;
mod job;
mod session;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Client, Code, Error, ErrorKind, Payload, Queue, Retry, pb::LeaseRef};
use in_hand::InHand;
use session::Ending;

pub use job::{Job, JobError};

/// A session that lasted for less has not served: the next one waits its turn.
const SERVED_AFTER: Duration = Duration::from_secs(1);

/// What a worker takes, and how it ends.
#[derive(Debug, Clone)]
pub struct WorkerSpec {
    /// Shown in the history: 1 to 128 of letters, digits, '.', '_', ':', '/', '-'.
    pub worker_id: String,
    /// `*` for all that this worker's token and configuration allow.
    pub intents: Vec<String>,
    pub queues: Vec<Queue>,
    /// Jobs worked on at once, 1 to 1,000.
    pub capacity: u16,
    /// How long work may go on after the worker was told to stop.
    pub drain_patience: Duration,
    /// How long a handler may clean up after it was told to stop, before it is dropped where it awaits.
    pub stop_patience: Duration,
    /// How long a service that was never reached is tried before the worker gives up; for ever where None.
    pub start_patience: Option<Duration>,
}

impl WorkerSpec {
    /// One job at a time of projects' queues, 30 s to finish and 5 s to clean up.
    pub fn new<I: Into<String>>(worker_id: impl Into<String>, intents: impl IntoIterator<Item = I>) -> Self {
        Self {
            worker_id: worker_id.into(),
            intents: intents.into_iter().map(Into::into).collect(),
            queues: vec![Queue::Project],
            capacity: 1,
            drain_patience: Duration::from_secs(30),
            stop_patience: Duration::from_secs(5),
            start_patience: None,
        }
    }
}

/// Does the work. An async function from a [`Job`] is one.
///
/// It is dropped where it awaits when its lease is lost and its patience over; a handler that computes without awaiting
/// looks at [`Job::stopped`] from time to time.
pub trait Handler: Send + Sync + 'static {
    fn handle(&self, job: Job) -> impl Future<Output = Result<Payload, JobError>> + Send;
}

impl<F, A> Handler for F
where
    F: Fn(Job) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Payload, JobError>> + Send,
{
    fn handle(&self, job: Job) -> impl Future<Output = Result<Payload, JobError>> + Send {
        self(job)
    }
}

/// What the service has made of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The same answer may have been recorded before: its acknowledgement was lost.
    Done {
        replayed: bool,
    },
    Retrying {
        next_attempt_at: Option<DateTime<Utc>>,
        replayed: bool,
    },
    Failed {
        replayed: bool,
    },
    /// Given back unfinished, at no cost of an attempt.
    Released,
}

/// What happens to a worker, for logs and metrics.
#[derive(Debug)]
#[non_exhaustive]
pub enum WorkerEvent<'a> {
    Welcomed {
        session_id: &'a str,
    },
    Leased(&'a Job),
    /// The service has acknowledged an answer, or refused it.
    Answered {
        lease: &'a LeaseRef,
        outcome: &'a Result<Answer, Error>,
    },
    /// The lease is void; the work on it is told to stop.
    Revoked {
        lease: &'a LeaseRef,
        cause: &'a str,
    },
    /// The session is over; the work goes on.
    Disconnected {
        cause: &'a str,
        again_in: Duration,
    },
}

type Observer = Arc<dyn Fn(&WorkerEvent<'_>) + Send + Sync>;

/// Takes jobs and has a handler work on them.
pub struct Worker {
    client: Client,
    spec: WorkerSpec,
    observer: Observer,
}

impl Worker {
    pub fn new(client: Client, spec: WorkerSpec) -> Self {
        Self { client, spec, observer: Arc::new(|_| {}) }
    }

    /// Is told of everything that happens, as it happens; it should not take long.
    #[must_use]
    pub fn observed_by(mut self, observer: impl Fn(&WorkerEvent<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// Works until `stop` is cancelled and everything held is answered or given back.
    pub async fn run(self, handler: impl Handler, stop: &CancellationToken) -> Result<(), Error> {
        let Self { client, spec, observer } = self;
        let mut in_hand = InHand::new(client.clone(), spec, handler, observer, stop.clone());
        let mut course = Course::default();
        loop {
            let began = Instant::now();
            let picked = client.shared.instances.pick();
            let ending = session::run(&client, &picked, &mut in_hand).await;
            in_hand.disconnected();
            course.was_welcome_once |= ending.welcomed;
            if in_hand.is_over() {
                return Ok(());
            }
            let (cause, delay) = match ending.cause {
                Ending::Closed => {
                    ("the service ended the session".to_owned(), course.delay(&client.shared.retry, began))
                }
                Ending::Draining => {
                    client.shared.instances.reconnect(&picked);
                    client.shared.instances.pass_over(&picked);
                    ("the instance is stopping".to_owned(), course.delay_elsewhere(&client.shared.retry, began))
                }
                Ending::Failed(error) => {
                    client.shared.note(&picked, &error);
                    if course.is_final(&error, ending.welcomed, in_hand.spec().start_patience) {
                        return Err(error);
                    }
                    (error.to_string(), course.delay(&client.shared.retry, began))
                }
            };
            in_hand.observe(&WorkerEvent::Disconnected { cause: &cause, again_in: delay });
            in_hand.rest(delay).await;
            if in_hand.is_over() {
                return Ok(());
            }
        }
    }
}

/// Session after session.
struct Course {
    began: Instant,
    was_welcome_once: bool,
    failures: u32,
    refused_tokens: u32,
}

impl Default for Course {
    fn default() -> Self {
        Self { began: Instant::now(), was_welcome_once: false, failures: 0, refused_tokens: 0 }
    }
}

impl Course {
    /// Before the next session, after one that ended.
    fn delay(&mut self, retry: &Retry, began: Instant) -> Duration {
        if began.elapsed() >= SERVED_AFTER {
            self.failures = 0;
        }
        let delay = retry.delay(self.failures, None);
        self.failures += 1;
        delay
    }

    /// After an instance that stops in good order there is nothing to wait for.
    fn delay_elsewhere(&mut self, retry: &Retry, began: Instant) -> Duration {
        if began.elapsed() >= SERVED_AFTER { Duration::ZERO } else { self.delay(retry, began) }
    }

    /// Whether another session is pointless.
    fn is_final(&mut self, error: &Error, welcomed: bool, start_patience: Option<Duration>) -> bool {
        let is_impatient = !self.was_welcome_once && start_patience.is_some_and(|limit| self.began.elapsed() >= limit);
        match (&error.kind, error.code) {
            // A service that was there before will be there again.
            (ErrorKind::Unreachable | ErrorKind::NoToken, _) => is_impatient,
            (ErrorKind::Invalid, _) => true,
            // A session that was welcome has outlived its token. One that was not may have come with a token that had
            // just run out; the one after it has a new one.
            (_, Code::Unauthenticated) => {
                self.refused_tokens = if welcomed { 0 } else { self.refused_tokens + 1 };
                self.refused_tokens > 1
            }
            (
                _,
                Code::PermissionDenied
                | Code::InvalidArgument
                | Code::NotFound
                | Code::FailedPrecondition
                | Code::Unimplemented,
            ) => true,
            _ => is_impatient && error.kind == ErrorKind::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use holdfast_fault::{Fault, Reason};

    use super::*;

    fn refused(reason: Reason) -> Error {
        Error::of_item(&Fault::new(reason, "").to_rpc_status())
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_cannot_be_helped_ends_the_worker() {
        let is_final = |reason| Course::default().is_final(&refused(reason), false, None);
        assert!(is_final(Reason::Auth403Scope) && is_final(Reason::Req400InvalidSchema));
        assert!(!is_final(Reason::Infra503Draining) && !is_final(Reason::Internal500Unexpected));

        let mut course = Course::default();
        let token = refused(Reason::Auth401InvalidToken);
        assert!(!course.is_final(&token, false, None), "the next one has a new token");
        assert!(!course.is_final(&token, true, None), "it was welcome and has outlived its token");
        assert!(!course.is_final(&token, false, None));
        assert!(course.is_final(&token, false, None), "a new token was refused as well");
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_was_never_there_is_waited_for_as_long_as_one_likes() {
        let lost = Error::lost("gone");
        let mut course = Course::default();
        assert!(course.is_final(&lost, false, Some(Duration::ZERO)));
        assert!(!course.is_final(&lost, false, None));
        course.was_welcome_once = true;
        assert!(!course.is_final(&lost, false, Some(Duration::ZERO)));
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_that_end_at_once_come_ever_more_rarely() {
        let (mut course, retry) = (Course::default(), Retry::default());
        for _ in 0..10 {
            course.delay_elsewhere(&retry, Instant::now());
        }
        assert_eq!(course.failures, 10);
        let began = Instant::now();
        tokio::time::advance(SERVED_AFTER).await;
        assert_eq!(course.delay_elsewhere(&retry, began), Duration::ZERO);
        course.delay(&retry, began);
        assert_eq!(course.failures, 1, "a session that served counts anew");
    }
}
