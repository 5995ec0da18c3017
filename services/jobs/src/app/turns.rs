//! Whose jobs a claim takes. While workers have room for all that is ready nobody is chosen, and a claim is one scan. Once a
//! scan would fill what room there is, it is undone, and from then on each claim first lists who has ready jobs, and
//! shares the room out among them ([`crate::domain::fair`]), until there is room for all again.
//!
//! The shares are those of this instance's own workers. With several instances each keeps to them, and so does their sum.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use holdfast_pg::{TenantScope, Tx};

use super::Core;
use super::limits::Limits;
use crate::domain::fair::{Clock, Flow, Plan};
use crate::domain::project::WEIGHT_DEFAULT;
use crate::store::StoreError;
use crate::store::claim::{Active, Candidates, Chosen, Wanted, active_list, candidates_scan, candidates_take};
use crate::store::transitions::Step;

/// How many projects a claim looks at, over all tenants, and how many of one tenant at least.
const FLOWS_MAX: usize = 1024;
const FLOWS_OF_TENANT_MIN: usize = 16;
/// Where one project alone has ready jobs there is nothing to share; this long nobody looks whether it still is alone.
const ALONE_FOR: Duration = Duration::from_millis(50);

/// A list is used again for this many times as long as it took to make: looking who is there costs a fraction of what is
/// done about it, however many there are.
const USED_AGAIN_FOR: u32 = 4;

/// How the claims of workers with the same rights find jobs.
#[derive(Debug)]
enum Way {
    Scan,
    /// As [`Way::Scan`], whatever it fills, until then.
    Alone(Instant),
    /// The next list begins after these projects of tenants that have more of them than one claim looks at.
    Share {
        after: HashMap<String, String>,
    },
    /// By the rest of a list.
    Again(List),
}

/// The turns of an instance's claims.
#[derive(Debug, Default)]
pub(super) struct Turns {
    clock: Clock,
    ways: HashMap<Wanted, Way>,
}

/// What a claim has locked, and how it came to it.
#[derive(Debug)]
pub(super) enum Found {
    /// Whatever it filled is right until then, where one project is alone.
    Scanned {
        candidates: Candidates,
        is_full: bool,
        alone_until: Option<Instant>,
    },
    Shared {
        candidates: Candidates,
        list: List,
    },
}

/// Who had ready jobs, and how many each is to be given.
#[derive(Debug)]
pub(super) struct List {
    flows: Vec<Flow>,
    plan: Plan,
    jobs_max: usize,
    /// Until when it is used.
    until: Instant,
    /// Not used before.
    is_fresh: bool,
    /// Began in the middle for some tenant.
    began_after: bool,
    /// Where the next one begins.
    after: HashMap<String, String>,
}

impl Found {
    pub(super) fn candidates(&self) -> &Candidates {
        match self {
            Self::Scanned { candidates, .. } | Self::Shared { candidates, .. } => candidates,
        }
    }
}

impl Turns {
    /// Forgets the ways of workers that have left.
    pub(super) fn retain(&mut self, stays: impl Fn(&Wanted) -> bool) {
        self.ways.retain(|wanted, _| stays(wanted));
    }

    /// Notes what was leased of what was found; answers whether there may be more at once.
    pub(super) fn came_to(&mut self, wanted: &Wanted, found: Found, leased: &[Step]) -> bool {
        let mut list = match found {
            Found::Scanned { is_full: true, alone_until, .. } => {
                let way = alone_until.map_or(Way::Scan, Way::Alone);
                self.ways.insert(wanted.clone(), way);
                return true;
            }
            Found::Scanned { is_full: false, .. } => return false,
            Found::Shared { list, .. } => list,
        };
        let (planned, count) = (list.plan.total(), list.flows.len());
        let served = list.served(leased);
        self.clock.served(&list.flows, &list.plan, &served);
        // What was planned and not had is another instance's, which will have committed by the next look.
        let all_had = leased.len() == planned;
        let is_whole = list.is_fresh && list.after.is_empty() && !list.began_after;
        let is_more = match (count, leased.len()) {
            (0, _) => list.began_after,
            (_, 0) => !list.is_fresh,
            _ => planned == list.jobs_max || !all_had || !is_whole,
        };
        list.without(&served);
        let way = if !is_more && all_had {
            Way::Scan
        } else if count == 1 && is_whole {
            Way::Alone(Instant::now() + ALONE_FOR)
        } else if planned == list.jobs_max && all_had && !list.flows.is_empty() && Instant::now() < list.until {
            Way::Again(list)
        } else {
            Way::Share { after: list.after }
        };
        self.ways.insert(wanted.clone(), way);
        is_more
    }
}

impl Core {
    /// Locks up to `jobs_max` ready jobs of those whose turn it is, in a transaction that it begins.
    pub(super) async fn find(
        &self,
        wanted: &Wanted,
        turns: &mut Turns,
        jobs_max: usize,
    ) -> Result<(Tx, Found), StoreError> {
        let scope = TenantScope::new(&wanted.tenants)?;
        let mut tx = self.app_db.begin(&scope, None).await?;
        // Where the claim fails it begins anew, by a scan.
        let way = turns.ways.remove(wanted).unwrap_or(Way::Scan);
        let alone_until = if let Way::Alone(until) = way { Some(until) } else { None };
        let is_alone = alone_until.is_some_and(|until| Instant::now() < until);
        if is_alone || matches!(way, Way::Scan) {
            let candidates = candidates_scan(&mut tx, wanted, &self.limits.running, jobs_max as i64).await?;
            let is_full = candidates.count() == jobs_max;
            if !is_full || is_alone {
                return Ok((tx, Found::Scanned { candidates, is_full, alone_until }));
            }
            // There may be more than fits: who was found first is not who is next. In a transaction of its own, since the
            // locks that this one has may not be followed by those of projects before them.
            tx.rollback().await?;
            tx = self.app_db.begin(&scope, None).await?;
        }
        let list = match way {
            Way::Again(mut list) if Instant::now() < list.until => {
                list.plan = turns.clock.plan(&list.flows, self.limits.fairness.bounds, jobs_max);
                List { jobs_max, is_fresh: false, ..list }
            }
            Way::Again(List { after, .. }) | Way::Share { after } => {
                self.list_active(&mut tx, wanted, turns, after, jobs_max).await?
            }
            Way::Scan | Way::Alone(_) => self.list_active(&mut tx, wanted, turns, HashMap::new(), jobs_max).await?,
        };
        let chosen = list.chosen();
        let candidates = if chosen.is_empty() {
            Candidates::default()
        } else {
            candidates_take(&mut tx, wanted, &self.limits.running, &chosen).await?
        };
        Ok((tx, Found::Shared { candidates, list }))
    }

    async fn list_active(
        &self,
        tx: &mut Tx,
        wanted: &Wanted,
        turns: &Turns,
        after: HashMap<String, String>,
        jobs_max: usize,
    ) -> Result<List, StoreError> {
        let began = Instant::now();
        let flows_max = (FLOWS_MAX / wanted.tenants.len().max(1)).max(FLOWS_OF_TENANT_MIN);
        let found = active_list(tx, wanted, &self.limits.running, &after, flows_max as i64).await?;
        let until = Instant::now() + began.elapsed() * USED_AGAIN_FOR;
        let mut counts: HashMap<&str, (usize, &str)> = HashMap::new();
        for active in &found {
            let count = counts.entry(&active.tenant_id).or_default();
            *count = (count.0 + 1, &active.project_id);
        }
        let full = counts.into_iter().filter(|(_, (count, _))| *count == flows_max);
        let next = full.map(|(tenant, (_, last))| (tenant.to_owned(), last.to_owned())).collect();
        let flows: Vec<Flow> = found.into_iter().map(|active| flow(active, &self.limits)).collect();
        let plan = turns.clock.plan(&flows, self.limits.fairness.bounds, jobs_max);
        let began_after = !after.is_empty();
        Ok(List { flows, plan, jobs_max, until, is_fresh: true, began_after, after: next })
    }
}

impl List {
    /// How many jobs of each of its flows were leased.
    fn served(&self, leased: &[Step]) -> Vec<usize> {
        let mut counts: HashMap<(&str, &str, &str), usize> = HashMap::new();
        for step in leased {
            let facts = &step.transition.after.facts;
            let key = (facts.queue.as_str(), facts.tenant_id.as_str(), facts.project_id.as_str());
            *counts.entry(key).or_default() += 1;
        }
        let key = |flow: &Flow| counts.get(&(flow.queue.as_str(), &*flow.tenant_id, &*flow.project_id)).copied();
        self.flows.iter().map(|flow| key(flow).unwrap_or(0)).collect()
    }

    /// Takes off what was leased of it.
    fn without(&mut self, served: &[usize]) {
        self.flows.iter_mut().zip(served).for_each(|(flow, jobs)| flow.ready = flow.ready.saturating_sub(*jobs));
        self.flows.retain(|flow| flow.ready > 0);
    }

    /// In key order.
    fn chosen(&self) -> Vec<Chosen> {
        let planned = self.flows.iter().zip(&self.plan.jobs).filter(|(_, jobs)| **jobs > 0);
        let mut chosen: Vec<Chosen> = planned
            .map(|(flow, jobs)| Chosen {
                tenant_id: flow.tenant_id.clone(),
                project_id: flow.project_id.clone(),
                queue: flow.queue,
                jobs: *jobs as i64,
            })
            .collect();
        chosen.sort();
        chosen
    }
}

fn flow(active: Active, limits: &Limits) -> Flow {
    Flow {
        queue: active.queue,
        tenant_weight: limits.fairness.tenant_weight(&active.tenant_id),
        weight: active.weight.unwrap_or(WEIGHT_DEFAULT).unsigned_abs(),
        ready: active.ready,
        tenant_id: active.tenant_id,
        project_id: active.project_id,
    }
}
