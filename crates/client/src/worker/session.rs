//! One session on the Work stream, from the hello to its end.

use std::time::Duration;

use holdfast_ids::RequestId;
use tokio::{
    sync::mpsc,
    time::{Instant, Interval, MissedTickBehavior, interval, sleep_until},
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Streaming};

use super::{Answer, Handler, WorkerEvent, in_hand::InHand};
use crate::retry::in_future;
use crate::{
    Client, Error, JobState, Reason,
    instances::Picked,
    payload::time,
    pb::{
        LeaseExtensionResult, WorkRequest, WorkResponse, lease_extension_result,
        work_request::{self, Hello},
        work_response::{Answered, Message, Revoked, Welcome, answered},
        worker_service_client::WorkerServiceClient,
    },
};

/// How a session ended.
pub(super) struct Ended {
    pub(super) welcomed: bool,
    pub(super) cause: Ending,
}

pub(super) enum Ending {
    /// In good order: by the service, or because there is nothing more to do.
    Closed,
    /// The instance stops; another one goes on.
    Draining,
    Failed(Error),
}

struct Session<'a, H> {
    client: &'a Client,
    in_hand: &'a mut InHand<H>,
    outgoing: mpsc::UnboundedSender<WorkRequest>,
    /// From the welcome on.
    heartbeat: Option<Interval>,
    is_draining: bool,
}

pub(super) async fn run<H: Handler>(client: &Client, picked: &Picked, in_hand: &mut InHand<H>) -> Ended {
    let (outgoing, requests) = mpsc::unbounded_channel();
    let mut session = Session { client, in_hand, outgoing, heartbeat: None, is_draining: false };
    let cause = match session.open(picked, UnboundedReceiverStream::new(requests)).await {
        Ok(Some(incoming)) => session.serve(incoming).await,
        Ok(None) => Ok(Ending::Closed),
        Err(error) => Err(error),
    };
    let welcomed = session.heartbeat.is_some();
    let cause = match cause {
        // The instance has said so before, or says it now.
        Err(error) if error.is(Reason::Infra503Draining) => Ending::Draining,
        Err(error) => Ending::Failed(error),
        Ok(ending) => ending,
    };
    Ended { welcomed, cause }
}

impl<H: Handler> Session<'_, H> {
    /// None where there is nothing more to do meanwhile.
    async fn open(
        &mut self,
        picked: &Picked,
        requests: UnboundedReceiverStream<WorkRequest>,
    ) -> Result<Option<Streaming<WorkResponse>>, Error> {
        let request_id = RequestId::new().to_string();
        // No deadline: the session lasts as long as both sides like.
        let mut request = Request::new(requests);
        let limit = self.client.shared.attempt_timeout;
        {
            let addressed = self.client.address(&mut request, &request_id, limit);
            tokio::pin!(addressed);
            loop {
                if self.in_hand.is_over() {
                    return Ok(None);
                }
                tokio::select! {
                    done = &mut addressed => break done?,
                    () = self.in_hand.tend() => {}
                }
            }
        }
        let authorization = request.metadata().get("authorization").cloned();
        let hello = self.hello();
        let _ = self.outgoing.send(WorkRequest { message: Some(work_request::Message::Hello(hello)) });

        let mut workers = WorkerServiceClient::new(picked.channel.clone());
        let opening = workers.work(request);
        tokio::pin!(opening);
        let limit = in_future(limit);
        loop {
            if self.in_hand.is_over() {
                return Ok(None);
            }
            let error = tokio::select! {
                opened = &mut opening => match opened {
                    Ok(response) => return Ok(Some(response.into_inner())),
                    Err(status) => Error::of_status(status),
                },
                () = self.in_hand.tend() => continue,
                () = sleep_until(limit) => Error::lost("the session was not opened in time"),
            };
            if error.is(Reason::Auth401InvalidToken)
                && let Some(refused) = authorization
            {
                self.client.shared.tokens.renew(&refused).await;
            }
            return Err(error.sent(&request_id, 1));
        }
    }

    fn hello(&mut self) -> Hello {
        let held = self.in_hand.held.reintroduce(Instant::now());
        let spec = self.in_hand.spec();
        Hello {
            worker_id: spec.worker_id.clone(),
            intents: spec.intents.clone(),
            queues: spec.queues.iter().map(|queue| (*queue).into()).collect(),
            capacity: spec.capacity.into(),
            held,
        }
    }

    async fn serve(&mut self, mut incoming: Streaming<WorkResponse>) -> Result<Ending, Error> {
        let welcome_by = in_future(self.client.shared.attempt_timeout);
        loop {
            let welcomed = self.heartbeat.is_some();
            tokio::select! {
                message = incoming.message() => match message {
                    Ok(Some(message)) => self.receive(message),
                    Ok(None) => return Ok(Ending::Closed),
                    Err(status) => return Err(Error::of_status(status)),
                },
                () = self.in_hand.tend() => {}
                () = tick(&mut self.heartbeat) => if !self.in_hand.held.is_empty() { self.in_hand.heartbeat() },
                () = sleep_until(welcome_by), if !welcomed => return Err(Error::lost("the session was not welcomed")),
            }
            self.in_hand.hurry();
            if self.in_hand.is_over() {
                return Ok(Ending::Closed);
            }
            if self.is_draining && self.may_leave() {
                return Ok(Ending::Draining);
            }
        }
    }

    /// From an instance that stops: at once where there is another to go to, or nothing is held. Otherwise what is held is
    /// answered here while that can be done: whether anybody else can be reached is not known.
    fn may_leave(&self) -> bool {
        self.in_hand.held.is_empty() || self.client.shared.instances.len() > 1
    }

    fn receive(&mut self, response: WorkResponse) {
        match response.message {
            Some(Message::Welcome(welcome)) => self.welcome(welcome),
            Some(Message::Leased(job)) => self.in_hand.begin(job),
            Some(Message::Extended(extended)) => self.extended(extended.results),
            Some(Message::Answered(answered)) => self.answered(answered),
            Some(Message::Revoked(Revoked { lease: Some(lease), cause })) => {
                let cause = cause.map_or_else(String::new, |cause| Error::of_item(&cause).name());
                self.in_hand.revoke(&lease.lease_id, &cause);
            }
            Some(Message::Draining(_)) => self.is_draining = true,
            // Of a newer service.
            Some(Message::Revoked(_)) | None => {}
        }
    }

    fn welcome(&mut self, welcome: Welcome) {
        let duration = |wire: Option<prost_types::Duration>| wire.and_then(|wire| Duration::try_from(wire).ok());
        let ttl = duration(welcome.lease_ttl).unwrap_or_else(|| self.in_hand.ttl());
        let heartbeat = duration(welcome.heartbeat_interval).filter(|interval| !interval.is_zero()).unwrap_or(ttl / 3);
        let mut heartbeat = interval(heartbeat.max(Duration::from_millis(1)));
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The hello was the first.
        heartbeat.reset();
        self.heartbeat = Some(heartbeat);
        self.in_hand.observe(&WorkerEvent::Welcomed { session_id: &welcome.session_id });
        self.in_hand.welcomed(self.outgoing.clone(), ttl);
        self.extended(welcome.held);
    }

    fn extended(&mut self, results: Vec<LeaseExtensionResult>) {
        let ttl = self.in_hand.ttl();
        for result in results {
            let Some(lease) = result.lease else { continue };
            match result.outcome {
                Some(lease_extension_result::Outcome::LeaseExpiresAt(_)) => {
                    self.in_hand.held.extended(&lease.lease_id, ttl);
                }
                Some(lease_extension_result::Outcome::Error(error)) => {
                    let error = Error::of_item(&error);
                    // Not heard in time is no reason to give up: the lease lasts until somebody says otherwise.
                    if error.is_retryable() {
                        self.in_hand.held.not_extended(&lease.lease_id);
                    } else {
                        self.in_hand.revoke(&lease.lease_id, &error.name());
                    }
                }
                None => {}
            }
        }
    }

    fn answered(&mut self, answered: Answered) {
        let (Some(lease), Some(outcome)) = (answered.lease, answered.outcome) else { return };
        let outcome = match outcome {
            answered::Outcome::Completed(done) => Ok(Answer::Done { replayed: done.replayed }),
            answered::Outcome::Failed(failed) if failed.state() == JobState::Retrying => {
                let next_attempt_at = time(failed.next_attempt_at.as_ref());
                Ok(Answer::Retrying { next_attempt_at, replayed: failed.replayed })
            }
            answered::Outcome::Failed(failed) => Ok(Answer::Failed { replayed: failed.replayed }),
            answered::Outcome::Released(_) => Ok(Answer::Released),
            answered::Outcome::Error(status) => Err(Error::of_item(&status)),
        };
        self.in_hand.acknowledged(&lease, outcome);
    }
}

async fn tick(heartbeat: &mut Option<Interval>) {
    match heartbeat {
        Some(heartbeat) => {
            heartbeat.tick().await;
        }
        None => std::future::pending().await,
    }
}
