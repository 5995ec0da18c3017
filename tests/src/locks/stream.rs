//! A lease held by a stream: heartbeats renew it, a half-close releases it, and a broken stream does neither.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use holdfast_fault::{Reason, Received};
use holdfast_proto::locks::v1::{
    HoldLockRequest, HoldLockResponse,
    hold_lock_request::{Acquire, Heartbeat, Message as Request},
    hold_lock_response::{Granted, Message as Response},
};
use rand::rngs::StdRng;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{
    client::{ANSWER_WITHIN, Answer, Ask, Held, LocksClient, at_us, expect_unheard, held, resource},
    history::{CLOCKS_DIFFER_US, Told},
};

const CLOCKS_DIFFER: Duration = Duration::from_micros(CLOCKS_DIFFER_US as u64);

pub struct Stream {
    client: LocksClient,
    requests: mpsc::Sender<HoldLockRequest>,
    responses: Streaming<HoldLockResponse>,
    pub held: Held,
    /// By the instance, or with it.
    is_ended: bool,
}

/// What came of the next message of a stream.
enum Next {
    Message(Response),
    End,
    Failed(Received),
    Silence,
}

impl LocksClient {
    /// A grant by a stream, or nothing: not free, or not heard.
    pub async fn hold(&self, ask: &Ask, choices: &mut StdRng) -> Result<Option<Stream>> {
        let sent_us = self.recorder().now_us();
        let unheard = || {
            for key in &ask.keys {
                self.withdrawn(key, sent_us, &ask.owner);
            }
        };
        let (requests, queued) = mpsc::channel(8);
        let acquire = Acquire {
            tenant_id: String::new(),
            resources: ask.keys.iter().map(|key| resource(key)).collect(),
            terms: Some(ask.terms()),
        };
        requests.send(HoldLockRequest { message: Some(Request::Acquire(acquire)) }).await?;
        let mut client = self.any(choices);
        let opened = client.hold_lock(ReceiverStream::new(queued));
        let Ok(opened) = tokio::time::timeout(ask.wait + ANSWER_WITHIN, opened).await else {
            unheard();
            return Ok(None);
        };
        let mut responses = match opened {
            Ok(response) => response.into_inner(),
            Err(status) => {
                let received = Received::from_status(&status);
                return ended(&received, unheard).with_context(|| format!("{ask:?}")).map(|()| None);
            }
        };
        let granted = loop {
            match next(&mut responses, ask.wait + ANSWER_WITHIN).await {
                Next::Message(Response::Waiting(_)) => {}
                Next::Message(Response::Granted(granted)) => break granted,
                Next::Message(other) => bail!("{ask:?} was answered by {other:?}"),
                Next::End => bail!("the stream of {ask:?} ended without a word"),
                Next::Silence => {
                    unheard();
                    return Ok(None);
                }
                Next::Failed(received) => {
                    return ended(&received, unheard).with_context(|| format!("{ask:?}")).map(|()| None);
                }
            }
        };
        let Granted { lease, replayed, .. } = granted;
        let held = held(ask, lease, replayed)?;
        self.record_grant(&held, sent_us);
        Ok(Some(Stream { client: self.clone(), requests, responses, held, is_ended: false }))
    }
}

impl Stream {
    pub async fn renew(&mut self) -> Result<Answer> {
        self.held.renewals += 1;
        let sent_us = self.client.recorder().now_us();
        let heartbeat = Request::Heartbeat(Heartbeat { renewal: self.held.renewals });
        // A stream that has ended tells so when it is read.
        let _ = self.requests.send(HoldLockRequest { message: Some(heartbeat) }).await;
        let lease_id = self.held.lease.lease_id.clone();
        let unheard = Told::RenewUnheard { lease_id: lease_id.clone(), stale_after_us: self.held.stale_after_us };
        let next = next(&mut self.responses, Duration::ZERO).await;
        self.is_ended = matches!(next, Next::End | Next::Failed(_) | Next::Message(Response::Lost(_)));
        let (answer, told) = match next {
            Next::Message(Response::Renewed(renewed)) => {
                let renewed_us = at_us(renewed.expires_at)? - self.held.ttl_us;
                self.held.stale_us = renewed_us + self.held.stale_after_us;
                (Answer::Done, Told::Renewed { lease_id, renewed_us, stale_us: self.held.stale_us })
            }
            Next::Message(Response::Lost(lost)) => {
                let cause = Received::from_rpc(&lost.cause.context("a loss has a cause")?);
                anyhow::ensure!(cause.reason == Some(Reason::Lock409StaleFence), "a lease was lost to {cause:?}");
                (Answer::Over, Told::Over { lease_id })
            }
            Next::Message(Response::NotRenewed(refused)) => {
                expect_unheard(&Received::from_rpc(&refused.cause.context("a refusal has a cause")?))?;
                (Answer::Unheard, unheard)
            }
            Next::Message(other) => bail!("a heartbeat was answered by {other:?}"),
            Next::End | Next::Silence => (Answer::Unheard, unheard),
            Next::Failed(received) if received.reason == Some(Reason::Lock409StaleFence) => {
                (Answer::Over, Told::Over { lease_id })
            }
            Next::Failed(received) => {
                expect_unheard(&received).with_context(|| format!("a heartbeat of {:?}", self.held))?;
                (Answer::Unheard, unheard)
            }
        };
        self.client.record(&self.held, sent_us, answer, &told);
        Ok(answer)
    }

    /// By a half-close. The end of the stream is the answer.
    pub async fn release(self) -> Result<Answer> {
        let Self { client, requests, mut responses, held, .. } = self;
        let sent_us = client.recorder().now_us();
        drop(requests);
        let lease_id = held.lease.lease_id.clone();
        let unheard = Told::ReleaseUnheard { lease_id: lease_id.clone() };
        let (answer, told) = match next(&mut responses, Duration::ZERO).await {
            Next::End => (Answer::Done, Told::Released { lease_id }),
            Next::Message(Response::Lost(_)) => (Answer::Over, Told::Over { lease_id }),
            Next::Failed(received) if received.reason == Some(Reason::Lock409StaleFence) => {
                (Answer::Over, Told::Over { lease_id })
            }
            Next::Message(_) | Next::Silence => (Answer::Unheard, unheard),
            Next::Failed(received) => {
                expect_unheard(&received).with_context(|| format!("a half-close of {held:?}"))?;
                (Answer::Unheard, unheard)
            }
        };
        client.record(&held, sent_us, answer, &told);
        Ok(answer)
    }

    /// Goes on without it, by calls. Dropped, a stream that still stands may be closed in good order, which releases.
    pub fn break_off(self) -> Held {
        if !self.is_ended {
            let lease_id = self.held.lease.lease_id.clone();
            let sent_us = self.client.recorder().now_us();
            self.client.record(&self.held, sent_us, Answer::Unheard, &Told::ReleaseUnheard { lease_id });
        }
        self.held
    }

    /// Open, and without a heartbeat, until the lease is stale.
    pub async fn hang(self) {
        let left_us = self.held.stale_us - self.client.recorder().now_us();
        tokio::time::sleep(Duration::from_micros(u64::try_from(left_us).unwrap_or(0)) + CLOCKS_DIFFER).await;
        self.break_off();
    }
}

async fn next(responses: &mut Streaming<HoldLockResponse>, wait: Duration) -> Next {
    match tokio::time::timeout(wait + ANSWER_WITHIN, responses.message()).await {
        Ok(Ok(Some(HoldLockResponse { message: Some(message) }))) => Next::Message(message),
        // A message that this client does not know.
        Ok(Ok(Some(HoldLockResponse { message: None }))) => Next::Silence,
        Ok(Ok(None)) => Next::End,
        Ok(Err(status)) => Next::Failed(Received::from_status(&status)),
        Err(_) => Next::Silence,
    }
}

/// The end of a stream that was granted nothing.
fn ended(received: &Received, unheard: impl FnOnce()) -> Result<()> {
    if received.reason == Some(Reason::Job409Locked) {
        return Ok(());
    }
    expect_unheard(received)?;
    unheard();
    Ok(())
}
