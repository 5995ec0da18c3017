//! One session on the Work stream, from the hello to its end.

use std::{sync::Arc, time::Duration};

use holdfast_fault::{Reason, Received};
use holdfast_proto::jobs::v1::{
    LeaseExtensionResult, LeasedJob, WorkRequest, WorkResponse, lease_extension_result,
    work_request::{self, Drain, Hello},
    work_response::{Answered, Message, Revoked, Welcome, answered},
};
use tokio::{
    sync::mpsc,
    time::{Instant, Interval, MissedTickBehavior, interval, sleep_until},
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};

use super::{Handler, InHand, Observation, Outcome, WorkerOptions};
use crate::connection::{CallError, Connection};

const HEARTBEAT_DEFAULT: Duration = Duration::from_secs(5);
/// Why a job failed whose result the service does not take: it will not take it from another attempt either.
const RESULT_REFUSED: &str = "result_refused";
/// After the last work was given back, for the service's word on it.
const GIVE_BACK_PATIENCE: Duration = Duration::from_secs(5);

/// How a session ended.
pub(super) enum Ending {
    /// The worker was told to stop, and nothing is held.
    Drained,
    /// By the service, in good order: the next session may be with another instance.
    Closed,
    Failed {
        welcomed: bool,
        error: CallError,
    },
}

pub(super) struct Session<'a, H> {
    options: &'a WorkerOptions,
    handler: &'a Arc<H>,
    work: &'a mut InHand,
    stop: &'a CancellationToken,
    /// Unbounded, but never longer than a few messages a held lease.
    outgoing: Option<mpsc::UnboundedSender<WorkRequest>>,
    heartbeat: Interval,
    drain: DrainPhase,
}

#[derive(Clone, Copy)]
enum DrainPhase {
    Working,
    /// Nothing more is taken; what is held is finished until then.
    Finishing {
        until: Instant,
    },
    /// The rest was given back.
    GivingBack {
        until: Instant,
    },
}

impl<'a, H: Handler> Session<'a, H> {
    pub(super) fn new(
        options: &'a WorkerOptions,
        handler: &'a Arc<H>,
        work: &'a mut InHand,
        stop: &'a CancellationToken,
    ) -> Self {
        let heartbeat = ticks(HEARTBEAT_DEFAULT);
        Self { options, handler, work, stop, outgoing: None, heartbeat, drain: DrainPhase::Working }
    }

    pub(super) async fn run(&mut self, connection: &Connection) -> Ending {
        let (outgoing, requests) = mpsc::unbounded_channel();
        self.outgoing = Some(outgoing);
        self.send(work_request::Message::Hello(self.hello()));
        // No deadline: the session lasts as long as both sides like.
        let opened = connection.workers().work(Request::new(UnboundedReceiverStream::new(requests))).await;
        let mut incoming = match opened {
            Ok(response) => response.into_inner(),
            Err(status) => return Ending::Failed { welcomed: false, error: status.into() },
        };
        let mut welcomed = false;
        loop {
            tokio::select! {
                message = incoming.message() => match message {
                    Ok(Some(message)) => welcomed |= self.receive(message),
                    Ok(None) if self.is_drained() => return Ending::Drained,
                    Ok(None) => return Ending::Closed,
                    Err(status) => return self.failed(welcomed, status),
                },
                Some(finished) = self.work.tasks.join_next(), if !self.work.tasks.is_empty() => self.finished(finished),
                _ = self.heartbeat.tick(), if welcomed && !self.work.held.is_empty() => {
                    self.transmit(self.work.held.heartbeat());
                    let again: Vec<WorkRequest> = self.work.held.take_postponed().collect();
                    again.into_iter().for_each(|request| self.transmit(request));
                }
                () = self.stop.cancelled(), if !welcomed && self.work.held.is_empty() => return Ending::Drained,
                () = self.stop.cancelled(), if welcomed && matches!(self.drain, DrainPhase::Working) => self.begin_drain(),
                () = drain_ends(self.drain) => if self.drain_further() { return Ending::Drained },
            }
        }
    }

    fn hello(&self) -> Hello {
        Hello {
            worker_id: self.options.worker_id.clone(),
            intents: self.options.intents.clone(),
            queues: self.options.queues.clone(),
            capacity: self.options.capacity.into(),
            held: self.work.held.leases(),
        }
    }

    /// Answers whether this was the welcome.
    fn receive(&mut self, response: WorkResponse) -> bool {
        match response.message {
            Some(Message::Welcome(welcome)) => {
                self.welcome(welcome);
                return true;
            }
            Some(Message::Leased(job)) => self.begin(job),
            Some(Message::Extended(extended)) => self.extended(extended.results),
            Some(Message::Answered(answered)) => self.answered(answered),
            Some(Message::Revoked(Revoked { lease: Some(lease), cause })) => {
                let cause = cause.map_or_else(String::new, |cause| Received::from_rpc(&cause).name());
                if self.work.held.revoke(&lease.lease_id) {
                    self.handler.observe(Observation::Revoked { lease: &lease, cause });
                }
            }
            // The instance stops: it sends no more jobs, and what is held can still be answered until it closes.
            Some(Message::Draining(_) | Message::Revoked(_)) | None => {}
        }
        false
    }

    fn welcome(&mut self, welcome: Welcome) {
        let interval = welcome.heartbeat_interval.and_then(|interval| Duration::try_from(interval).ok());
        self.heartbeat = ticks(interval.filter(|interval| !interval.is_zero()).unwrap_or(HEARTBEAT_DEFAULT));
        self.handler.observe(Observation::Welcomed { session_id: &welcome.session_id });
        self.extended(welcome.held);
        let again: Vec<WorkRequest> = self.work.held.unacknowledged().collect();
        again.into_iter().for_each(|request| self.transmit(request));
    }

    fn begin(&mut self, job: LeasedJob) {
        let Some(lease) = job.lease.clone().filter(|lease| !self.work.held.contains(&lease.lease_id)) else { return };
        self.handler.observe(Observation::Leased(&job));
        let (handler, lease_id) = (self.handler.clone(), lease.lease_id.clone());
        let work = self.work.tasks.spawn(async move { (lease_id, handler.perform(&job).await) });
        self.work.held.begin(lease, work);
    }

    fn extended(&mut self, results: Vec<LeaseExtensionResult>) {
        for result in results {
            let (Some(lease), Some(lease_extension_result::Outcome::Error(error))) = (result.lease, result.outcome)
            else {
                continue;
            };
            let received = Received::from_rpc(&error);
            // Not heard in time is no reason to give up: the lease is lost when the service says so.
            if !received.retryable() && self.work.held.revoke(&lease.lease_id) {
                self.handler.observe(Observation::Revoked { lease: &lease, cause: received.name() });
            }
        }
    }

    fn answered(&mut self, answered: Answered) {
        let (Some(lease), Some(outcome)) = (answered.lease, answered.outcome) else { return };
        let refusal = match &outcome {
            answered::Outcome::Error(error) => Some(Received::from_rpc(error)),
            _ => None,
        };
        if refusal.as_ref().is_some_and(Received::retryable) {
            self.work.held.postpone(&lease.lease_id);
            return;
        }
        self.handler.observe(Observation::Answered { lease: &lease, outcome: &outcome });
        match refusal.filter(is_of_request) {
            // The lease still holds. Left alone it would run out, and the job be tried again in vain.
            Some(refusal) if self.work.held.is_completed(&lease.lease_id) => {
                self.answer(&lease.lease_id, Outcome::failed(false, RESULT_REFUSED, &refusal.message));
            }
            _ => self.work.held.settle(&lease.lease_id),
        }
    }

    fn answer(&mut self, lease_id: &str, outcome: Outcome) {
        if let Some(request) = self.work.held.answer(lease_id, outcome) {
            self.transmit(request);
        }
    }

    fn finished(&mut self, finished: Result<(String, Outcome), tokio::task::JoinError>) {
        match finished {
            Ok((lease_id, outcome)) => self.answer(&lease_id, outcome),
            Err(error) if error.is_cancelled() => {}
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    fn begin_drain(&mut self) {
        self.drain = DrainPhase::Finishing { until: Instant::now() + self.options.drain_patience };
        self.send(work_request::Message::Drain(Drain { release: Vec::new() }));
    }

    /// Answers whether there is nothing more to wait for.
    fn drain_further(&mut self) -> bool {
        if matches!(self.drain, DrainPhase::GivingBack { .. }) {
            return true;
        }
        self.drain = DrainPhase::GivingBack { until: Instant::now() + GIVE_BACK_PATIENCE };
        let release = self.work.held.give_up();
        self.send(work_request::Message::Drain(Drain { release }));
        false
    }

    fn is_drained(&self) -> bool {
        !matches!(self.drain, DrainPhase::Working) && self.work.held.is_empty()
    }

    fn failed(&self, welcomed: bool, status: Status) -> Ending {
        if self.is_drained() && status.code() == Code::Unavailable {
            return Ending::Drained;
        }
        Ending::Failed { welcomed, error: status.into() }
    }

    fn send(&self, message: work_request::Message) {
        self.transmit(WorkRequest { message: Some(message) });
    }

    fn transmit(&self, request: WorkRequest) {
        // Where the stream is gone, reading from it says so, and the next session repeats what matters.
        if let Some(outgoing) = &self.outgoing {
            let _ = outgoing.send(request);
        }
    }
}

/// What was sent is at fault, not when or by whom.
fn is_of_request(refusal: &Received) -> bool {
    matches!(refusal.reason, Some(Reason::Req400InvalidSchema | Reason::Req400MissingField))
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn drain_ends(drain: DrainPhase) {
    match drain {
        DrainPhase::Working => std::future::pending().await,
        DrainPhase::Finishing { until } | DrainPhase::GivingBack { until } => sleep_until(until).await,
    }
}
