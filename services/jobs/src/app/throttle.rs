//! How many submissions a caller may make in a minute, by its class.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use holdfast_caller::Kind;
use holdfast_fault::{Fault, Reason};
use holdfast_ids::{ActorId, TenantId};

use super::admit::Identified;
use super::submit::Submitted;
use super::{App, Asking};
use crate::domain::rate;
use crate::metrics;

/// Submissions a minute; None is no limit. Workers do not submit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimits {
    pub users: Option<i64>,
    pub agents: Option<i64>,
    pub services: Option<i64>,
}

impl RateLimits {
    pub fn of(&self, kind: Kind) -> Option<i64> {
        match kind {
            Kind::User => self.users,
            Kind::Agent => self.agents,
            Kind::Service => self.services,
            Kind::Worker => None,
        }
    }
}

/// Rates as this instance alone knows them: while Redis is away, a caller has that many on each instance.
#[derive(Debug)]
pub struct OwnRates {
    since: Instant,
    /// Until then Redis is not asked again: it has just not answered, which took its time.
    alone_until_us: AtomicI64,
    full_at_us: Mutex<HashMap<(TenantId, ActorId), i64>>,
}

impl Default for OwnRates {
    fn default() -> Self {
        Self { since: Instant::now(), alone_until_us: AtomicI64::new(0), full_at_us: Mutex::new(HashMap::new()) }
    }
}

impl OwnRates {
    /// Callers kept before those that are full again are forgotten.
    const CALLERS_MAX: usize = 10_000;
    const ALONE_FOR: Duration = Duration::from_secs(1);

    fn now_us(&self) -> i64 {
        i64::try_from(self.since.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    fn is_alone(&self) -> bool {
        self.now_us() < self.alone_until_us.load(Ordering::Relaxed)
    }

    fn be_alone(&self) {
        let until_us = self.now_us().saturating_add(Self::ALONE_FOR.as_micros() as i64);
        self.alone_until_us.store(until_us, Ordering::Relaxed);
    }

    fn take(&self, tenant_id: &TenantId, actor_id: &ActorId, per_minute: i64, count: i64) -> Option<Duration> {
        let now_us = self.now_us();
        let mut callers = self.full_at_us.lock().unwrap_or_else(PoisonError::into_inner);
        if callers.len() >= Self::CALLERS_MAX {
            callers.retain(|_, full_at_us| *full_at_us > now_us);
        }
        let caller = (tenant_id.clone(), actor_id.clone());
        match rate::take(callers.get(&caller).copied(), now_us, per_minute, count) {
            Ok(full_at_us) => {
                callers.insert(caller, full_at_us);
                None
            }
            Err(wait_us) => Some(Duration::from_micros(wait_us.unsigned_abs())),
        }
    }
}

impl App {
    /// Counts submissions against the rate of their caller. Where it has no room for all, those whose keys have a job are
    /// answered instead, for nothing, and the others counted one by one: so a batch above the rate that is sent again and
    /// again is taken in the end. None: may go on. Costs callers without a limit nothing.
    pub(super) async fn throttle(
        &self,
        asking: &Asking,
        items: &[Identified],
    ) -> Vec<Option<Result<Submitted, Fault>>> {
        let mut answered = vec![None; items.len()];
        let Some(per_minute) = self.core.limits.rates.of(asking.caller.kind) else { return answered };
        let mut of_tenants: BTreeMap<&TenantId, Vec<usize>> = BTreeMap::new();
        for (index, item) in items.iter().enumerate() {
            of_tenants.entry(&item.scope.tenant_id).or_default().push(index);
        }
        for (tenant_id, indices) in of_tenants {
            let actor_id = &asking.caller.actor;
            if self.take(tenant_id, actor_id, per_minute, indices.len() as i64).await.is_none() {
                continue;
            }
            let outcomes = indices.into_iter().map(|index| async move {
                let outcome = match self.repeated(asking, &items[index]).await {
                    Ok(Some(submitted)) => Some(Ok(submitted)),
                    Ok(None) => {
                        let wait = self.take(tenant_id, actor_id, per_minute, 1).await;
                        wait.map(|wait| Err(too_many(per_minute, wait)))
                    }
                    Err(fault) => Some(Err(fault)),
                };
                (index, outcome)
            });
            for (index, outcome) in join_all(outcomes).await {
                answered[index] = outcome;
            }
        }
        answered
    }

    async fn take(&self, tenant_id: &TenantId, actor_id: &ActorId, per_minute: i64, count: i64) -> Option<Duration> {
        let (counters, own) = (&self.core.counters, &self.core.rates);
        match own.is_alone() {
            true => own.take(tenant_id, actor_id, per_minute, count),
            false => counters.take(tenant_id, actor_id, per_minute, count).await.unwrap_or_else(|_| {
                own.be_alone();
                own.take(tenant_id, actor_id, per_minute, count)
            }),
        }
    }
}

fn too_many(per_minute: i64, wait: Duration) -> Fault {
    metrics::submissions_refused("rate", 1);
    Fault::new(Reason::Rate429Throttled, format!("more submissions than {per_minute} a minute"))
        .retry_after(wait.max(Duration::from_millis(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_alone_holds_each_caller_to_its_own_rate() {
        let rates = OwnRates::default();
        let tenant = |name: &str| TenantId::parse(name).expect("a tenant");
        let (alice, bob) = (ActorId::parse("alice").expect("an actor"), ActorId::parse("bob").expect("an actor"));
        for _ in 0..3 {
            assert_eq!(rates.take(&tenant("a"), &alice, 3, 1), None);
        }
        let wait = rates.take(&tenant("a"), &alice, 3, 1).expect("three a minute");
        assert!(wait <= Duration::from_secs(20), "{wait:?}");
        assert_eq!(rates.take(&tenant("a"), &bob, 3, 1), None);
        assert_eq!(rates.take(&tenant("b"), &alice, 3, 1), None);
    }
}
