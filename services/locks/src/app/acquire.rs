//! Acquiring: at once, or first come, first served.
//!
//! Each request goes on in a task of its own, so that one whose caller has gone is withdrawn whatever it was doing: its place in the queue is given up, and a
//! grant that nobody was told of is released. Where the instance itself dies, its own lease ends, and with it the places of its waiters.

use std::time::{Duration, Instant};

use holdfast_fault::{Fault, Reason};
use holdfast_ids::{IdempotencyKey, LeaseId, LockOwner, TenantId};
use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use uuid::Uuid;

use super::waiting::{HandedOver, Seat};
use super::{App, Asking, Time, authorise};
use crate::domain::board::system;
use crate::domain::command::{Command, Outcome};
use crate::domain::lease::{Facts, Lease, Owner, Terms};
use crate::domain::resource::Resource;
use crate::{error, metrics};

/// A version of what is hashed: the first byte.
const HASH_VERSION: u8 = 1;
/// Between two attempts to withdraw what could not be withdrawn at once.
const WITHDRAW_AGAIN_AFTER: Duration = Duration::from_millis(300);
/// Stale leases that one request ends that are in its way, before it says that it is busy.
const STALE_MAX: usize = 128;

/// A well-formed request.
#[derive(Debug, Clone)]
pub struct Request {
    pub tenant_id: Option<TenantId>,
    /// At least one, each once.
    pub resources: Vec<Resource>,
    pub owner: LockOwner,
    pub idempotency_key: Option<IdempotencyKey>,
    /// None: as configured.
    pub ttl: Option<Duration>,
    pub wait: Duration,
    pub require_mirror: Option<bool>,
}

/// A granted request.
#[derive(Debug, Clone)]
pub struct Acquired {
    pub lease: Lease,
    /// Whether Redis knows of it, and as many replicas as are configured.
    pub mirrored: bool,
    pub replayed: bool,
    pub waited: Duration,
    /// How long it holds from now on, at least.
    pub expires_in: Duration,
}

/// Told once, where a request does not get what it asks for at once.
pub type OnWaiting = Option<oneshot::Sender<()>>;

impl App {
    pub async fn acquire(&self, asking: &Asking, request: Request, on_waiting: OnWaiting) -> Result<Acquired, Fault> {
        let facts = self.facts(asking, &request)?;
        if self.core.waiters.count() >= self.core.limits.waiters_max {
            return Err(Fault::new(Reason::Rate429Throttled, "too many calls wait through this instance"));
        }
        let require_mirror = request.require_mirror.unwrap_or(self.core.limits.require_mirror);
        let (answer, answered) = oneshot::channel();
        let left = CancellationToken::new();
        let attempt = Attempt {
            app: self.clone(),
            asking: asking.clone(),
            facts,
            call_id: Uuid::now_v7(),
            wait: request.wait,
            require_mirror,
            began: Instant::now(),
            left: left.clone(),
        };
        tokio::spawn(attempt.run(answer, on_waiting).in_current_span());
        let _left = left.drop_guard();
        answered.await.unwrap_or_else(|_| Err(Fault::unexpected("an attempt ended without an answer")))
    }

    fn facts(&self, asking: &Asking, request: &Request) -> Result<Facts, Fault> {
        let tenant_id = authorise::tenant(&asking.caller, request.tenant_id.clone())?;
        authorise::resources(&asking.caller, &request.resources)?;
        let order = self.core.order();
        let limits = &self.core.limits;
        let mut resources = request.resources.clone();
        order.sort(&mut resources);
        let ttl = request.ttl.unwrap_or(limits.ttl);
        let stale_after =
            limits.stale_after.max(ttl.mul_f64(limits.stale_after.as_secs_f64() / limits.ttl.as_secs_f64()));
        let millis = |duration: Duration| i32::try_from(duration.as_millis()).unwrap_or(i32::MAX);
        let terms =
            Terms { ttl_ms: millis(ttl), stale_after_ms: millis(stale_after), renewals_max: limits.renewals_max };
        let owner = Owner { tenant_id, actor_id: asking.caller.actor.clone(), label: request.owner.clone() };
        Ok(Facts {
            lease_id: LeaseId::new(),
            request_hash: request_hash(&owner, &resources, terms.ttl_ms),
            owner,
            idempotency_key: request.idempotency_key.clone(),
            resources,
            terms,
            request_id: asking.request_id.clone(),
            traceparent: asking.traceparent.clone(),
        })
    }
}

/// Covers what decides which lease is meant: not how long to wait for it.
fn request_hash(owner: &Owner, resources: &[Resource], ttl_ms: i32) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[HASH_VERSION]).update(&ttl_ms.to_be_bytes());
    // No name holds a NUL.
    for part in resources
        .iter()
        .flat_map(|resource| [resource.class.as_str(), resource.project_id.as_str(), resource.key.as_str()])
        .chain([owner.label.as_str()])
    {
        hasher.update(part.as_bytes()).update(&[0]);
    }
    *hasher.finalize().as_bytes()
}

struct Attempt {
    app: App,
    facts: Facts,
    call_id: Uuid,
    asking: Asking,
    wait: Duration,
    require_mirror: bool,
    began: Instant,
    /// Its caller has gone.
    left: CancellationToken,
}

/// How an attempt came to its end, beside a grant.
enum End {
    Refused(Fault),
    /// Whether it stands in the queue, or was granted, is not known.
    Unanswered(Fault),
    /// It stands in the queue, unless it was granted and the answer was lost.
    Standing(Fault),
    /// It stands there, and is to be refused, unless somebody has just handed it what it waits for.
    InVain(Fault),
    /// It stands there, and is to go on standing there for whoever asks under its key.
    Kept(Fault),
    Left,
}

impl Attempt {
    async fn run(self, answer: oneshot::Sender<Result<Acquired, Fault>>, on_waiting: OnWaiting) {
        let mut seat = self.app.core.waiters.sit(self.call_id, self.facts.names());
        let granted = self.granted(&mut seat, on_waiting).await;
        // Before anything is given up: whoever is next here is to hear of it.
        seat.rise();
        let granted = match granted {
            Ok(granted) => self.mirrored(granted).await,
            Err(End::Unanswered(fault)) => {
                // Under a key, it may be what an earlier call was granted, and told of.
                self.withdraw(self.facts.idempotency_key.is_none()).await;
                Err(fault)
            }
            Err(End::Standing(fault)) => {
                self.withdraw(true).await;
                Err(fault)
            }
            Err(End::InVain(fault)) => self.left_in_vain(fault).await,
            Err(End::Left) => {
                self.withdraw(true).await;
                return;
            }
            Err(End::Refused(fault) | End::Kept(fault)) => Err(fault),
        };
        if let Ok(acquired) = &granted {
            self.measure(acquired);
        }
        if let Err(Ok(unheard)) = answer.send(granted)
            && !unheard.replayed
        {
            self.withdraw(true).await;
        }
    }

    async fn granted(&self, seat: &mut Seat, mut on_waiting: OnWaiting) -> Result<Granted, End> {
        let mut lease_id = self.facts.lease_id;
        let mut step = Step::Ask;
        let mut stale = 0;
        loop {
            if let Some(HandedOver { lease, now, asked }) = seat.handed_over() {
                return Ok(Granted { lease, replayed: false, now, asked });
            }
            let asked = Instant::now();
            let outcome = match self.app.command(self.command(step, lease_id)).await {
                Ok(outcome) => outcome,
                Err(fault) if matches!(step, Step::Claim) && fault.retryable() && !self.is_draining() => {
                    // It stands where it stood, and PostgreSQL may be back soon.
                    self.stand(seat, Some(self.app.core.limits.poll)).await?;
                    continue;
                }
                Err(fault) => {
                    return Err(match step {
                        Step::Ask => End::Unanswered(fault),
                        Step::Claim => End::Standing(fault),
                    });
                }
            };
            match outcome {
                Outcome::Granted { lease, replayed, now } => {
                    return Ok(Granted { lease: *lease, replayed, now, asked });
                }
                Outcome::Waiting { lease_id: stands, standing, place } => {
                    lease_id = stands;
                    if matches!(step, Step::Ask) {
                        metrics::contended(&standing.resource.class);
                    }
                    if let Some(waiting) = on_waiting.take() {
                        // Whoever asked may have gone.
                        let _ = waiting.send(());
                    }
                    let later = self.facts.names().skip_while(|name| *name != standing).skip(1);
                    seat.stand(lease_id, standing.clone(), place, later);
                    step = Step::Claim;
                    match self.stand(seat, None).await {
                        Err(End::Kept(fault)) => return self.claim_at_last(lease_id, fault).await,
                        stood => stood?,
                    }
                }
                Outcome::Stale { lease_id: over } if stale < STALE_MAX => {
                    stale += 1;
                    match (self.app.expire(over, self.facts.owner.tenant_id.clone()).await, step) {
                        (Ok(_), _) => {}
                        (Err(fault), Step::Ask) => return Err(End::Refused(fault)),
                        (Err(fault), Step::Claim) if fault.retryable() && !self.is_draining() => {
                            self.stand(seat, Some(self.app.core.limits.poll)).await?;
                        }
                        (Err(fault), Step::Claim) => return Err(End::Standing(fault)),
                    }
                }
                Outcome::Busy { resource } => {
                    metrics::contended(&resource.class);
                    return Err(End::Refused(error::held(&resource)));
                }
                Outcome::Stale { .. } => return Err(End::InVain(error::held(&self.facts.resources[0]))),
                Outcome::OutOfOrder { after } => {
                    return Err(End::Refused(error::out_of_order(&self.app.core.order(), &after)));
                }
                Outcome::KeyConflict => return Err(End::Refused(error::key_conflict())),
                Outcome::Superseded => return Err(End::Refused(error::superseded())),
                Outcome::Gone | Outcome::Nothing | Outcome::Ended { .. } => {
                    // Its instance, this one, was away for longer than its own lease.
                    let lost = "the place in the queue was lost while this instance was away";
                    return Err(End::Refused(Fault::dependency_down("postgres", lost)));
                }
            }
        }
    }

    /// Before a place is kept for another instance: somebody may just have handed it what it waits for.
    async fn claim_at_last(&self, lease_id: LeaseId, fault: Fault) -> Result<Granted, End> {
        let asked = Instant::now();
        match self.app.command(self.command(Step::Claim, lease_id)).await {
            Ok(Outcome::Granted { lease, replayed, now }) => Ok(Granted { lease: *lease, replayed, now, asked }),
            _ => Err(End::Kept(fault)),
        }
    }

    fn command(&self, step: Step, lease_id: LeaseId) -> Command {
        match step {
            Step::Ask => Command::Acquire {
                facts: self.facts.clone(),
                call_id: self.call_id,
                instance_id: self.app.core.instance_id,
                waits: !self.wait.is_zero(),
            },
            Step::Claim => {
                Command::Claim { tenant_id: self.facts.owner.tenant_id.clone(), lease_id, call_id: self.call_id }
            }
        }
    }

    /// Stands in the queue until it is woken, or `at_most` is over.
    async fn stand(&self, seat: &Seat, at_most: Option<Duration>) -> Result<(), End> {
        let left_of_wait = self.wait.saturating_sub(self.began.elapsed());
        tokio::select! {
            biased;
            () = self.left.cancelled() => Err(End::Left),
            () = self.app.core.draining.cancelled() => Err(self.kept(error::draining())),
            () = self.asking.token_expiry() => Err(self.kept(error::token_expired())),
            () = sleep(left_of_wait) => {
                let resource = self.facts.resources.last().unwrap_or(&self.facts.resources[0]);
                Err(End::InVain(error::waited_in_vain(resource)))
            }
            () = seat.woken(), if at_most.is_none() => Ok(()),
            () = sleep(at_most.unwrap_or_default()), if at_most.is_some() => Ok(()),
        }
    }

    /// Under a key somebody can take it up again.
    fn kept(&self, fault: Fault) -> End {
        match self.facts.idempotency_key {
            Some(_) => End::Kept(fault),
            None => End::Standing(fault),
        }
    }

    fn is_draining(&self) -> bool {
        self.app.core.draining.is_cancelled()
    }

    /// Writes the mirror before the grant is answered.
    async fn mirrored(&self, granted: Granted) -> Result<Acquired, Fault> {
        let Granted { lease, replayed, now, asked } = granted;
        let Some(held) = lease.held() else { return Err(Fault::unexpected("granted, and not held")) };
        let holds_for = (held.expires_at - now).to_std().unwrap_or_default();
        let waited = match replayed {
            true => (held.granted_at - lease.asked_at).to_std().unwrap_or_default(),
            false => self.began.elapsed(),
        };
        let mirrored = self.app.core.mirror.granted(&lease).await;
        if !mirrored {
            metrics::mirror_failed();
        }
        // What an earlier call was told that it holds is not taken from it.
        if !mirrored && self.require_mirror && !replayed {
            self.withdraw(true).await;
            return Err(Fault::dependency_down("redis", "the grant could not be mirrored as configured"));
        }
        // The database read its clock after the request was sent to it.
        let expires_in = holds_for.saturating_sub(asked.elapsed());
        Ok(Acquired { lease, mirrored, replayed, waited, expires_in })
    }

    /// Gives up the place in the queue, and says that it was for nothing where that is so: it may have been granted in that moment.
    async fn left_in_vain(&self, fault: Fault) -> Result<Acquired, Fault> {
        let asked = Instant::now();
        match self.app.command(self.leave(false)).await {
            Ok(Outcome::Granted { lease, replayed, now }) => {
                self.mirrored(Granted { lease: *lease, replayed, now, asked }).await
            }
            Ok(_) => Err(fault),
            Err(unknown) => {
                self.withdraw(true).await;
                Err(unknown)
            }
        }
    }

    fn leave(&self, grant_too: bool) -> Command {
        Command::Leave {
            owner: self.facts.owner.clone(),
            names: self.facts.names().collect(),
            call_id: self.call_id,
            grant_too,
            cause: self.asking.cause(),
        }
    }

    /// Gives up the place in the queue, or the grant. While it cannot be given up, nobody behind it is served: it is tried until it is.
    async fn withdraw(&self, grant_too: bool) {
        if self.app.command(self.leave(grant_too)).await.is_ok() {
            return;
        }
        let (app, command) = (self.app.clone(), self.leave(grant_too));
        tokio::spawn(async move {
            while !app.core.draining.is_cancelled() {
                sleep(WITHDRAW_AGAIN_AFTER).await;
                if app.command(command.clone()).await.is_ok() {
                    return;
                }
            }
        });
    }

    fn measure(&self, acquired: &Acquired) {
        if acquired.replayed {
            return;
        }
        let asked_at: Time = acquired.lease.asked_at;
        let waited = acquired.lease.held().is_some_and(|held| held.granted_at > asked_at);
        for resource in &acquired.lease.facts.resources {
            metrics::acquired(&resource.class, self.began.elapsed(), waited);
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Ask,
    Claim,
}

struct Granted {
    lease: Lease,
    replayed: bool,
    now: Time,
    /// When it was asked for, for the last time.
    asked: Instant,
}

impl App {
    /// Takes back a grant that its caller was not told of, unless a later call under its key was.
    pub async fn take_back(&self, asking: &Asking, lease: &Lease) -> Result<(), Fault> {
        let command = Command::Leave {
            owner: lease.facts.owner.clone(),
            names: lease.facts.names().collect(),
            call_id: lease.call_id,
            grant_too: true,
            cause: asking.cause(),
        };
        self.command(command).await.map(drop)
    }

    /// Ends a lease where it is stale.
    pub(crate) async fn expire(&self, lease_id: LeaseId, tenant_id: TenantId) -> Result<Outcome, Fault> {
        self.command(Command::Expire { tenant_id, lease_id, cause: system("system:lock_expiry") }).await
    }
}
