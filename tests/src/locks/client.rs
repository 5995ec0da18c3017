//! A client of all instances that records what it is told.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use holdfast_fault::{Reason, Received};
use holdfast_proto::locks::v1::{
    AcquireLockRequest, AcquireLocksRequest, AcquireTerms, GetLockRequest, Lease, LeaseRef, Lock, ReleaseLockRequest,
    RenewLockRequest, Resource, lock_service_client::LockServiceClient,
};
use prost_types::Timestamp;
use rand::{Rng as _, rngs::StdRng};
use tonic::{Code, Response, Status, transport::Endpoint};

use super::history::{Grant, Recorder, SeenHolder, Told};
use crate::client::{Authorised, Bearer};

const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// Beyond a call's own wait. An instance that stands still answers nobody: whoever waits for it asks another.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// A try that lasts longer than this is one that an instance has taken, even if it is not answered.
const TAKES_A_PLACE_WITHIN: Duration = Duration::from_millis(500);
const RETRY_AFTER: Duration = Duration::from_millis(50);
pub const PROJECT: &str = "proof";
pub const CLASS: &str = "project";

pub fn resource(key: &str) -> Resource {
    Resource { project_id: PROJECT.to_owned(), class: CLASS.to_owned(), key: key.to_owned() }
}

/// One principal on every instance.
#[derive(Clone)]
pub struct LocksClient {
    instances: Vec<LockServiceClient<Authorised>>,
    recorder: Arc<Recorder>,
}

/// What is asked for, under an owner label and an idempotency key of its own.
#[derive(Debug, Clone)]
pub struct Ask {
    pub keys: Vec<String>,
    pub owner: String,
    pub ttl: Duration,
    pub wait: Duration,
    /// Tries of a call that was not answered.
    pub tries_max: u32,
}

impl Ask {
    pub(super) fn terms(&self) -> AcquireTerms {
        AcquireTerms {
            owner: self.owner.clone(),
            idempotency_key: self.owner.clone(),
            ttl: self.ttl.try_into().ok(),
            wait: self.wait.try_into().ok(),
            require_mirror: None,
        }
    }
}

#[derive(Debug)]
pub enum Acquired {
    Held(Held),
    /// Somebody else held it for all of the wait.
    NotFree,
    Unheard,
}

/// A lease as its holder knows it.
#[derive(Debug, Clone)]
pub struct Held {
    pub lease: LeaseRef,
    pub keys: Vec<String>,
    /// As many as keys, in the order of the registry, which within a class is that of keys.
    pub fences: Vec<u64>,
    pub replayed: bool,
    /// For how long at most no live instance had heard of the request, once one had.
    pub away: Duration,
    pub granted_us: i64,
    pub stale_us: i64,
    pub(super) ttl_us: i64,
    /// From a grant or a renewal until it is stale.
    pub(super) stale_after_us: i64,
    pub(super) renewals: u32,
}

impl Held {
    pub fn stale_after(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.stale_after_us).unwrap_or(0))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// The lease is over.
    Over,
    Unheard,
}

impl LocksClient {
    pub fn new(endpoints: impl IntoIterator<Item = String>, token: &str, recorder: Arc<Recorder>) -> Result<Self> {
        let bearer = Bearer::of(token)?;
        let connect = |endpoint: String| {
            let channel = Endpoint::from_shared(endpoint)?.connect_timeout(CONNECT_WITHIN).connect_lazy();
            anyhow::Ok(LockServiceClient::with_interceptor(channel, bearer.clone()))
        };
        Ok(Self { instances: endpoints.into_iter().map(connect).collect::<Result<_>>()?, recorder })
    }

    /// Of one instance.
    pub fn instance(&self, number: usize) -> LockServiceClient<Authorised> {
        self.instances[number].clone()
    }

    pub(super) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    pub(super) fn any(&self, choices: &mut StdRng) -> LockServiceClient<Authorised> {
        self.instance(choices.random_range(0..self.instances.len()))
    }

    /// Fails on an answer that the contract does not name for what is asked.
    pub async fn acquire(&self, ask: &Ask, choices: &mut StdRng) -> Result<Acquired> {
        let sent_us = self.recorder.now_us();
        let mut outcome = Acquired::Unheard;
        let mut is_certain = true;
        let (mut away_since, mut away): (Option<Instant>, Duration) = (None, Duration::ZERO);
        for _ in 0..ask.tries_max {
            let began = Instant::now();
            let answer = self.ask(ask, choices).await;
            if answer.is_ok() || began.elapsed() > TAKES_A_PLACE_WITHIN {
                let arrived = began + TAKES_A_PLACE_WITHIN.min(began.elapsed());
                away = away.max(away_since.take().map_or(Duration::ZERO, |since: Instant| arrived - since));
            }
            match answer {
                Ok((lease, replayed)) => {
                    outcome = Acquired::Held(Held { away, ..held(ask, lease, replayed)? });
                    break;
                }
                Err(received) if received.reason == Some(Reason::Job409Locked) => {
                    if received.metadata.get("cause").is_some_and(|cause| cause == "order") {
                        bail!("{} holds nothing else, and breaks the order: {received:?}", ask.owner);
                    }
                    outcome = Acquired::NotFree;
                    break;
                }
                Err(received) => {
                    expect_unheard(&received).with_context(|| format!("{ask:?}"))?;
                    is_certain = false;
                    away_since.get_or_insert_with(Instant::now);
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
        if let Acquired::Held(held) = &outcome {
            self.record_grant(held, sent_us);
        }
        // A try without an answer may have been granted what this answer knows nothing of.
        if !is_certain {
            for key in &ask.keys {
                self.recorder.unheard(key, sent_us, Told::AcquireUnheard { owner: ask.owner.clone() });
            }
        }
        Ok(outcome)
    }

    /// An acquisition that its caller dropped: nobody knows what became of it.
    pub fn withdrawn(&self, key: &str, sent_us: i64, owner: &str) {
        self.recorder.unheard(key, sent_us, Told::AcquireUnheard { owner: owner.to_owned() });
    }

    /// One try: the same request each time.
    async fn ask(&self, ask: &Ask, choices: &mut StdRng) -> Result<(Option<Lease>, bool), Received> {
        let (tenant_id, terms, mut client) = (String::new(), Some(ask.terms()), self.any(choices));
        if let [key] = &ask.keys[..] {
            let request = AcquireLockRequest { tenant_id, resource: Some(resource(key)), terms };
            let response = answered(ask.wait, client.acquire_lock(request)).await?;
            return Ok((response.lease, response.replayed));
        }
        let resources = ask.keys.iter().map(|key| resource(key)).collect();
        let request = AcquireLocksRequest { tenant_id, resources, terms };
        let response = answered(ask.wait, client.acquire_locks(request)).await?;
        Ok((response.lease, response.replayed))
    }

    pub async fn renew(&self, held: &mut Held, choices: &mut StdRng) -> Result<Answer> {
        held.renewals += 1;
        let request = RenewLockRequest { lease: Some(held.lease.clone()), renewal: held.renewals };
        let sent_us = self.recorder.now_us();
        let mut client = self.any(choices);
        let lease_id = || held.lease.lease_id.clone();
        let (answer, told) = match answered(Duration::ZERO, client.renew_lock(request)).await {
            Ok(response) => {
                let expires_us = at_us(response.expires_at)?;
                held.stale_us = at_us(response.stale_at)?;
                let renewed_us = expires_us - held.ttl_us;
                (Answer::Done, Told::Renewed { lease_id: lease_id(), renewed_us, stale_us: held.stale_us })
            }
            Err(received) if received.reason == Some(Reason::Lock409StaleFence) => {
                (Answer::Over, Told::Over { lease_id: lease_id() })
            }
            Err(received) => {
                expect_unheard(&received).with_context(|| format!("renewal of {held:?}"))?;
                let stale_after_us = held.stale_after_us;
                (Answer::Unheard, Told::RenewUnheard { lease_id: lease_id(), stale_after_us })
            }
        };
        self.record(held, sent_us, answer, &told);
        Ok(answer)
    }

    pub async fn release(&self, held: &Held, tries_max: u32, choices: &mut StdRng) -> Result<Answer> {
        let sent_us = self.recorder.now_us();
        let lease_id = || held.lease.lease_id.clone();
        let mut outcome = (Answer::Unheard, Told::ReleaseUnheard { lease_id: lease_id() });
        for _ in 0..tries_max {
            let request = ReleaseLockRequest { lease: Some(held.lease.clone()) };
            let mut client = self.any(choices);
            match answered(Duration::ZERO, client.release_lock(request)).await {
                Ok(_) => {
                    outcome = (Answer::Done, Told::Released { lease_id: lease_id() });
                    break;
                }
                Err(received) if received.reason == Some(Reason::Lock409StaleFence) => {
                    outcome = (Answer::Over, Told::Over { lease_id: lease_id() });
                    break;
                }
                Err(received) => {
                    expect_unheard(&received).with_context(|| format!("release of {held:?}"))?;
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
        let (answer, told) = outcome;
        self.record(held, sent_us, answer, &told);
        Ok(answer)
    }

    /// Looks at a resource. Nothing where there was no answer.
    pub async fn look(&self, key: &str, choices: &mut StdRng) -> Result<Option<Lock>> {
        let request = GetLockRequest { tenant_id: String::new(), resource: Some(resource(key)) };
        let sent_us = self.recorder.now_us();
        let mut client = self.any(choices);
        let lock = match answered(Duration::ZERO, client.get_lock(request)).await {
            Ok(response) => response.lock.context("the answer has no lock")?,
            Err(received) => {
                expect_unheard(&received).with_context(|| format!("a look at {key}"))?;
                return Ok(None);
            }
        };
        let holder = lock.holder.as_ref().map(|holder| {
            anyhow::Ok(SeenHolder {
                owner: holder.owner.clone(),
                grant: Grant {
                    lease_id: holder.lease_id.clone(),
                    fence: holder.fencing_token,
                    granted_us: at_us(holder.granted_at)?,
                    stale_us: at_us(holder.stale_at)?,
                },
            })
        });
        // What is reserved is granted to nobody yet, and no history tells of it.
        if !lock.holder.as_ref().is_some_and(|holder| holder.reserved) {
            let told = Told::Seen { holder: holder.transpose()?, highest: lock.fencing_token };
            self.recorder.answered(key, sent_us, told);
        }
        Ok(Some(lock))
    }

    pub(super) fn record_grant(&self, held: &Held, sent_us: i64) {
        for (key, fence) in held.keys.iter().zip(&held.fences) {
            self.recorder.answered(key, sent_us, Told::Granted(grant_of(held, *fence)));
        }
    }

    pub(super) fn record(&self, held: &Held, sent_us: i64, answer: Answer, told: &Told) {
        for key in &held.keys {
            match answer {
                Answer::Unheard => self.recorder.unheard(key, sent_us, told.clone()),
                Answer::Done | Answer::Over => self.recorder.answered(key, sent_us, told.clone()),
            }
        }
    }
}

pub(super) fn held(ask: &Ask, lease: Option<Lease>, replayed: bool) -> Result<Held> {
    let lease = lease.context("a grant has no lease")?;
    let resources = lease.resources.iter().map(|held| held.resource.as_ref().map(|resource| resource.key.clone()));
    let keys: Vec<String> = resources.collect::<Option<_>>().context("a lease names its resources")?;
    let mut asked = ask.keys.clone();
    asked.sort_unstable();
    anyhow::ensure!(keys == asked, "asked for {asked:?} and was granted {keys:?}");
    let granted_us = at_us(lease.granted_at)?;
    let stale_us = at_us(lease.stale_at)?;
    Ok(Held {
        keys,
        fences: lease.resources.iter().map(|held| held.fencing_token).collect(),
        replayed,
        away: Duration::ZERO,
        granted_us,
        stale_us,
        stale_after_us: stale_us - granted_us,
        ttl_us: at_us(lease.expires_at)? - granted_us,
        renewals: lease.renewals,
        lease: LeaseRef { tenant_id: lease.tenant_id, lease_id: lease.lease_id },
    })
}

fn grant_of(held: &Held, fence: u64) -> Grant {
    let Held { lease, granted_us, stale_us, .. } = held;
    Grant { lease_id: lease.lease_id.clone(), fence, granted_us: *granted_us, stale_us: *stale_us }
}

/// The answer, or what a caller that gives up would be told.
async fn answered<T>(wait: Duration, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Received> {
    let heard = tokio::time::timeout(wait + ANSWER_WITHIN, call).await;
    let heard = heard.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
    heard.map(Response::into_inner).map_err(|status| Received::from_status(&status))
}

/// Instances die, drain and lose what they stand on; nothing else may go wrong with a call that is right.
pub(super) fn expect_unheard(received: &Received) -> Result<()> {
    let unheard = matches!(received.code, Code::Cancelled | Code::DeadlineExceeded | Code::Unknown | Code::Unavailable);
    match received.reason {
        Some(Reason::Infra503DependencyDown | Reason::Infra503Draining | Reason::Req408Deadline) => Ok(()),
        None if unheard => Ok(()),
        Some(Reason::Lock404NotFound) => bail!("granted and not there: {received:?}"),
        _ => bail!("unexpected answer: {received:?}"),
    }
}

pub fn at_us(at: Option<Timestamp>) -> Result<i64> {
    let at = at.context("a time is missing")?;
    Ok(at.seconds * 1_000_000 + i64::from(at.nanos) / 1_000)
}
