//! HoldLock: a lease for as long as a stream.
//!
//! Owns nothing durable: the lease is in the database, and a stream that breaks leaves it there. What a client half-closes it has done with: that lease is
//! released. Until it is granted, whatever ends the stream withdraws the wait, except a drain, which leaves it standing for the same request on another instance.

use std::time::Duration;

use holdfast_fault::{Fault, Reason};
use holdfast_ids::{LeaseId, TenantId};
use holdfast_proto::locks::v1 as pb;
use holdfast_runtime::HalfClose;
use pb::hold_lock_request::{Heartbeat, Message as In};
use pb::hold_lock_response::{Granted, Lost, Message as Out, NotRenewed, Waiting};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::Rpc;
use crate::app::Asking;
use crate::app::acquire::Request;
use crate::domain::Time;
use crate::wire::acquire::held;
use crate::wire::lock::{lease, renewal};
use crate::{error, metrics};

/// Responses that wait for a client that reads slowly; beyond them the stream waits too, and reads no more of its heartbeats.
const RESPONSES_WAITING_MAX: usize = 8;
const FIRST_WITHIN: Duration = Duration::from_secs(10);
/// After a look that found the lease standing, until the next one.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);

pub(super) type Held = ReceiverStream<Result<pb::HoldLockResponse, Status>>;
type Outbound = mpsc::Sender<Result<pb::HoldLockResponse, Status>>;
type Inbound = Streaming<pb::HoldLockRequest>;

/// How a stream ends. Only the first touches the lease.
enum End {
    /// The client half-closed it.
    Done,
    /// The client has gone, or was told that the lease is lost.
    Left,
    Because(Fault),
}

/// What a stream begins with.
enum First {
    Acquire(Box<Request>),
    Resume { tenant_id: Option<TenantId>, lease_id: LeaseId },
}

/// The lease of a stream.
struct Grant {
    /// As the client named it.
    tenant_id: Option<TenantId>,
    lease_id: LeaseId,
    /// When it is stale, unless it is renewed: on this machine's clock, and never later than on the database's.
    stale: Instant,
}

pub(super) fn begin(rpc: &Rpc, asking: Asking, inbound: Inbound, half_close: HalfClose) -> Result<Held, Fault> {
    if rpc.app.core.draining.is_cancelled() {
        return Err(error::draining());
    }
    let (out, messages) = mpsc::channel(RESPONSES_WAITING_MAX);
    let session = Session { rpc: rpc.clone(), asking, inbound, half_close, out };
    tokio::spawn(session.serve());
    Ok(ReceiverStream::new(messages))
}

struct Session {
    rpc: Rpc,
    asking: Asking,
    inbound: Inbound,
    half_close: HalfClose,
    out: Outbound,
}

impl Session {
    async fn serve(mut self) {
        metrics::session_began();
        let end = match self.hold().await {
            Ok(end) | Err(end) => end,
        };
        metrics::session_ended();
        if let End::Because(fault) = end {
            // A client that has gone does not hear why.
            let _ = self.out.send(Err(fault.into())).await;
        }
    }

    async fn hold(&mut self) -> Result<End, End> {
        // From before the grant, so that no end of it is missed.
        let revoked = self.rpc.app.core.revoked.subscribe();
        let first = self.first().await?;
        let (asking, draining) = (self.asking.clone(), self.rpc.app.core.draining.clone());
        let grant = match first {
            First::Acquire(request) => self.acquire(*request).await?,
            First::Resume { tenant_id, lease_id } => self.resume(tenant_id, lease_id).await?,
        };
        let (tenant_id, lease_id) = (grant.tenant_id.clone(), grant.lease_id);
        let out = self.out.clone();
        let end = tokio::select! {
            end = self.keep(grant, revoked) => end,
            () = asking.token_expiry() => End::Because(error::token_expired()),
            () = draining.cancelled() => End::Because(error::draining()),
            () = out.closed() => End::Left,
        };
        if matches!(end, End::Done) {
            let released = self.rpc.app.release(&self.asking, tenant_id, lease_id).await;
            return released.map(|_| End::Done).map_err(End::Because);
        }
        if matches!(end, End::Left) && self.half_close.seen() {
            // A client that half-closes and goes at once has done with it too. It hears of no refusal, as where the lease was lost before.
            let _ = self.rpc.app.release(&self.asking, tenant_id, lease_id).await;
        }
        Ok(end)
    }

    async fn first(&mut self) -> Result<First, End> {
        let late = |_| Fault::new(Reason::Req408Deadline, "the first message did not come in time");
        let message = timeout(FIRST_WITHIN, self.inbound.message()).await.map_err(late).map_err(End::Because)?;
        let Some(request) = message.map_err(unread)? else { return Err(End::Because(Fault::missing("message"))) };
        self.opening(request).map_err(End::Because)
    }

    fn opening(&self, request: pb::HoldLockRequest) -> Result<First, Fault> {
        match request.message {
            Some(In::Acquire(acquire)) => {
                let request = self.rpc.bounded(|bounds| held(acquire, bounds))?;
                Ok(First::Acquire(Box::new(request)))
            }
            Some(In::Resume(resume)) => {
                let (tenant_id, lease_id) = lease(resume.lease).map_err(|fault| fault.under("resume."))?;
                Ok(First::Resume { tenant_id, lease_id })
            }
            Some(In::Heartbeat(_)) => Err(Fault::invalid("heartbeat", "may not be the first message")),
            None => Err(Fault::missing("message")),
        }
    }

    /// Waits for the grant. Dropped, or ended before, it withdraws what was asked for.
    async fn acquire(&mut self, request: Request) -> Result<Grant, End> {
        let tenant_id = request.tenant_id.clone();
        let (on_waiting, mut waiting) = oneshot::channel();
        let acquire = self.rpc.app.acquire(&self.asking, request, Some(on_waiting));
        tokio::pin!(acquire);
        let mut may_wait = true;
        let acquired = loop {
            tokio::select! {
                biased;
                acquired = &mut acquire => break acquired.map_err(|fault| End::Because(fault.under("acquire.")))?,
                stands = &mut waiting, if may_wait => {
                    may_wait = false;
                    if stands.is_ok() {
                        send(&self.out, Out::Waiting(Waiting {})).await?;
                    }
                }
                message = self.inbound.message() => match message.map_err(unread)? {
                    Some(_) => {
                        return Err(End::Because(Fault::invalid("message", "may not be sent before the grant")));
                    }
                    None => return Err(End::Left),
                },
                () = self.out.closed() => return Err(End::Left),
            }
        };
        let Some(ends) = acquired.lease.held().map(|held| (held.expires_at, held.stale_at)) else {
            return Err(End::Because(Fault::unexpected("granted, and not held")));
        };
        let (lease_id, replayed, granted) = (acquired.lease.facts.lease_id, acquired.replayed, acquired.lease.clone());
        let grant = Grant { tenant_id, lease_id, stale: stale(acquired.expires_in, ends) };
        if let Err(end) = send(&self.out, Out::Granted(Granted::from(acquired))).await {
            // Nobody heard of it. What an earlier call was told that it holds is not taken from it.
            if !replayed {
                self.rpc.app.take_back(&self.asking, &granted).await.map_err(End::Because)?;
            }
            return Err(end);
        }
        Ok(grant)
    }

    async fn resume(&mut self, tenant_id: Option<TenantId>, lease_id: LeaseId) -> Result<Grant, End> {
        let resumed = self.rpc.app.resume(&self.asking, tenant_id.clone(), lease_id).await;
        let resumed = resumed.map_err(|fault| End::Because(fault.under("resume.lease.")))?;
        let ends = (resumed.renewed.expires_at, resumed.renewed.stale_at);
        let grant = Grant { tenant_id, lease_id, stale: stale(resumed.expires_in, ends) };
        send(&self.out, Out::Granted(Granted::from(resumed))).await?;
        Ok(grant)
    }

    /// Until the client has done with it, or it is lost.
    async fn keep(&mut self, mut grant: Grant, mut revoked: broadcast::Receiver<LeaseId>) -> End {
        loop {
            let step = tokio::select! {
                message = self.inbound.message() => match message {
                    Ok(Some(message)) => self.receive(&mut grant, message).await,
                    Ok(None) if self.half_close.seen() => return End::Done,
                    Ok(None) => return End::Left,
                    Err(status) => return unread(status),
                },
                lost = revoked.recv() => match lost {
                    Ok(lease_id) if lease_id != grant.lease_id => Ok(()),
                    // It has ended, or hints were missed that may have said so.
                    Ok(_) | Err(RecvError::Lagged(_)) => self.look(&mut grant).await,
                    Err(RecvError::Closed) => return End::Because(error::draining()),
                },
                () = sleep_until(grant.stale) => self.look(&mut grant).await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn receive(&self, grant: &mut Grant, request: pb::HoldLockRequest) -> Result<(), End> {
        match request.message {
            Some(In::Heartbeat(heartbeat)) => self.renew(grant, heartbeat).await,
            Some(In::Acquire(_)) => Err(End::Because(Fault::invalid("acquire", "may only be the first message"))),
            Some(In::Resume(_)) => Err(End::Because(Fault::invalid("resume", "may only be the first message"))),
            None => Err(End::Because(Fault::missing("message"))),
        }
    }

    async fn renew(&self, grant: &mut Grant, heartbeat: Heartbeat) -> Result<(), End> {
        let number = renewal("heartbeat.renewal", heartbeat.renewal).map_err(End::Because)?;
        match self.rpc.app.renew(&self.asking, grant.tenant_id.clone(), grant.lease_id, number).await {
            Ok(renewed) => {
                grant.stale = stale(renewed.expires_in, (renewed.expires_at, renewed.stale_at));
                send(&self.out, Out::Renewed((&renewed).into())).await
            }
            Err(fault) if is_over(&fault) => self.tell_lost(fault).await,
            Err(fault) => {
                let cause = Some(fault.to_rpc_status());
                send(&self.out, Out::NotRenewed(NotRenewed { cause })).await
            }
        }
    }

    /// Whether the lease is lost the database knows: hints are no more than that, and this machine's clock is another one.
    async fn look(&self, grant: &mut Grant) -> Result<(), End> {
        match self.rpc.app.look(&self.asking, grant.tenant_id.clone(), grant.lease_id).await {
            Ok(stale_in) => {
                grant.stale = Instant::now() + stale_in.max(LOOK_AGAIN_AFTER);
                Ok(())
            }
            Err(fault) if is_over(&fault) => self.tell_lost(fault).await,
            Err(_) => {
                grant.stale = Instant::now() + LOOK_AGAIN_AFTER;
                Ok(())
            }
        }
    }

    async fn tell_lost(&self, fault: Fault) -> Result<(), End> {
        // Of a lease that this stream was granted nothing is known any more: it is over all the same.
        let fault = if fault.reason == Reason::Lock404NotFound { error::lease_over(None) } else { fault };
        send(&self.out, Out::Lost(Lost { cause: Some(fault.to_rpc_status()) })).await?;
        Err(End::Left)
    }
}

fn is_over(fault: &Fault) -> bool {
    matches!(fault.reason, Reason::Lock409StaleFence | Reason::Lock404NotFound)
}

/// When a lease is stale that holds for at least so long from now.
fn stale(expires_in: Duration, (expires_at, stale_at): (Time, Time)) -> Instant {
    Instant::now() + expires_in + (stale_at - expires_at).to_std().unwrap_or_default()
}

/// Why there is no next message: the client sent what is none, or it has gone.
fn unread(status: Status) -> End {
    match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => {
            End::Because(Fault::invalid("request", "is larger than 1 MiB").caused_by(status))
        }
        Code::Internal => End::Because(Fault::invalid("request", "cannot be decoded").caused_by(status)),
        _ => End::Left,
    }
}

async fn send(out: &Outbound, message: Out) -> Result<(), End> {
    out.send(Ok(pb::HoldLockResponse { message: Some(message) })).await.map_err(|_| End::Left)
}
