//! The client side of a worker: one session after another on the Work stream, until it is told to stop.
//!
//! Promises: a lease that was given is worked on once, extended while it is worked on, and answered; an answer whose
//! acknowledgement was lost with the connection is sent again on the next, under the same lease, and the service answers
//! it the same; a result that the service refuses fails the job for good. Told to stop, the worker takes nothing more, finishes what it holds within its patience and gives back
//! the rest. It ends with an error only where trying again cannot help: a refused token or role, a malformed hello.

mod held;
mod session;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use holdfast_proto::jobs::v1::{LeaseRef, LeasedJob, Payload, work_response::answered};
use rand::Rng;
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::connection::{CallError, ConnectionArgs, Minted};
use held::Held;
use session::{Ending, Session};

const FAILURE_MESSAGE_CHARS_MAX: usize = 1_024;
const RECONNECT_FIRST: Duration = Duration::from_millis(100);
const RECONNECT_MAX: Duration = Duration::from_secs(5);

/// What becomes of a job.
#[derive(Debug)]
pub(crate) enum Outcome {
    Done(Payload),
    Failed { retryable: bool, code: String, message: String },
}

impl Outcome {
    /// A failure as the service takes it, whatever a program wrote: the end of a long message, which is what says why, and
    /// no control characters. A malformed answer would end the session, and the job would count as lost with it.
    pub(crate) fn failed(retryable: bool, code: &str, message: &str) -> Self {
        let skipped = message.chars().count().saturating_sub(FAILURE_MESSAGE_CHARS_MAX);
        let is_allowed = |character: &char| !character.is_control() || matches!(character, '\n' | '\r' | '\t');
        let message = message.chars().skip(skipped).filter(is_allowed).collect();
        Self::Failed { retryable, code: code.to_owned(), message }
    }
}

/// Does the work, and hears what happens to it.
#[async_trait]
pub(crate) trait Handler: Send + Sync + 'static {
    /// Dropped halfway where the lease is lost or the worker's patience ends.
    async fn perform(&self, job: &LeasedJob) -> Outcome;

    fn observe(&self, observation: Observation<'_>);
}

#[derive(Debug)]
pub(crate) enum Observation<'a> {
    Welcomed {
        session_id: &'a str,
    },
    Leased(&'a LeasedJob),
    /// The service has acknowledged an answer, or refused it.
    Answered {
        lease: &'a LeaseRef,
        outcome: &'a answered::Outcome,
    },
    /// The lease is void; the work on it was stopped.
    Revoked {
        lease: &'a LeaseRef,
        cause: String,
    },
    Disconnected {
        cause: String,
        again_in: Duration,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct WorkerOptions {
    pub(crate) worker_id: String,
    /// The subject of a development token, where the user brought no token.
    pub(crate) subject: String,
    pub(crate) intents: Vec<String>,
    pub(crate) queues: Vec<i32>,
    pub(crate) capacity: u16,
    /// How long work may go on after the worker was told to stop.
    pub(crate) drain_patience: Duration,
}

/// Works until `stop` is cancelled and everything held is answered or given back.
pub(crate) async fn run(
    connection: &ConnectionArgs,
    options: &WorkerOptions,
    handler: Arc<impl Handler>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut work = InHand { held: Held::default(), tasks: JoinSet::new() };
    let mut delay = RECONNECT_FIRST;
    let mut was_welcome_once = false;
    loop {
        let token = connection.token(Minted::Worker(&options.subject))?;
        let mut session = Session::new(options, &handler, &mut work, stop);
        let ending = match connection.open_with(&token).await {
            Ok(connection) => session.run(&connection).await,
            Err(error) => Ending::Failed { welcomed: false, error: error.downcast()? },
        };
        let cause = match ending {
            Ending::Drained => return Ok(()),
            Ending::Closed => "the service ended the session".to_owned(),
            Ending::Failed { welcomed, error } => {
                if is_final(&error, welcomed, was_welcome_once) {
                    return Err(error.into());
                }
                delay = if welcomed { RECONNECT_FIRST } else { delay };
                was_welcome_once |= welcomed;
                error.to_string()
            }
        };
        if stop.is_cancelled() && work.held.is_empty() {
            return Ok(());
        }
        handler.observe(Observation::Disconnected { cause, again_in: delay });
        sleep(delay.mul_f64(rand::rng().random_range(0.75..1.25))).await;
        delay = (delay * 2).min(RECONNECT_MAX);
    }
}

/// What outlives a session: leases, and the work on them.
pub(crate) struct InHand {
    held: Held,
    /// Each answers with its lease's id.
    tasks: JoinSet<(String, Outcome)>,
}

/// Whether another attempt is pointless. A session that was welcome and ends as unauthenticated has outlived its token; the
/// next one has a new token. A service that was there before will be there again.
fn is_final(error: &CallError, welcomed: bool, was_welcome_once: bool) -> bool {
    match error {
        CallError::Unreachable { .. } => !was_welcome_once,
        CallError::Refused(received) => match received.code {
            Code::Unauthenticated => !welcomed,
            Code::PermissionDenied
            | Code::InvalidArgument
            | Code::NotFound
            | Code::FailedPrecondition
            | Code::Unimplemented => true,
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(said: &str) -> String {
        let Outcome::Failed { message, .. } = Outcome::failed(true, "code", said) else { panic!("not a failure") };
        message
    }

    #[test]
    fn a_long_message_keeps_its_end() {
        let kept = message(&format!("{}the cause", "noise ".repeat(1_000)));
        assert_eq!(kept.chars().count(), FAILURE_MESSAGE_CHARS_MAX);
        assert!(kept.ends_with("the cause"));
    }

    #[test]
    fn a_message_in_colour_loses_its_control_characters() {
        assert_eq!(message("\u{1b}[31merror\u{1b}[0m:\n\tbad\0"), "[31merror[0m:\n\tbad");
    }
}
