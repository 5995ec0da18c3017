//! A world of six resources for the tests: boards are loaded from it and written back as the store does it, after each write what must hold is looked at,
//! and random acts become commands in it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{TimeDelta, TimeZone as _, Utc};
use holdfast_ids::{
    ActorId, IdempotencyKey, InstanceId, LeaseId, LockClass, LockOwner, ProjectId, ResourceKey, TenantId,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::lease::{Owner, Reach, Terms};
use crate::domain::order::Class;

const TTL_MS: i32 = 1000;
pub(crate) const STALE_AFTER_MS: i32 = 1500;

pub(crate) fn order() -> Order {
    let class = |name, rank| Class { name: LockClass::parse(name).unwrap(), rank, description: String::new() };
    Order::new(vec![class("memory", 40), class("infrastructure", 10), class("project", 30), class("budget", 20)])
}

pub(crate) fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

pub(crate) fn resource(class: &str, key: usize) -> Resource {
    Resource {
        project_id: ProjectId::parse("team").unwrap(),
        class: LockClass::parse(class).unwrap(),
        key: ResourceKey::parse(&format!("r{key}")).unwrap(),
    }
}

/// Six resources, in their order.
pub(crate) fn resources() -> Vec<Resource> {
    let classes = ["infrastructure", "infrastructure", "budget", "project", "project", "memory"];
    classes.iter().enumerate().map(|(key, class)| resource(class, key)).collect()
}

pub(crate) fn cause(actor: &str) -> Cause {
    Cause { actor_id: ActorId::parse(actor).unwrap(), request_id: "request".to_owned(), traceparent: String::new() }
}

pub(crate) fn facts(owner: &str, wanted: &[Resource], key: Option<&str>) -> Facts {
    let mut resources = wanted.to_vec();
    order().sort(&mut resources);
    Facts {
        lease_id: LeaseId::new(),
        owner: Owner {
            tenant_id: tenant(),
            actor_id: ActorId::parse("actor").unwrap(),
            label: LockOwner::parse(owner).unwrap(),
        },
        idempotency_key: key.map(|key| IdempotencyKey::parse(key).unwrap()),
        request_hash: [resources.len() as u8; 32],
        resources,
        terms: Terms { ttl_ms: TTL_MS, stale_after_ms: STALE_AFTER_MS, renewals_max: 3 },
        request_id: "request".to_owned(),
        traceparent: String::new(),
    }
}

/// What the store holds between batches.
pub(crate) struct World {
    pub(crate) now: Time,
    heads: BTreeMap<Name, Head>,
    pub(crate) leases: HashMap<LeaseId, Lease>,
    pub(crate) dead: Vec<InstanceId>,
    granted: BTreeMap<Name, Vec<(i64, LeaseId)>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            now: Utc.timestamp_opt(1_700_000_000, 0).unwrap(),
            heads: BTreeMap::new(),
            leases: HashMap::new(),
            dead: Vec::new(),
            granted: BTreeMap::new(),
        }
    }

    fn name(&self, resource: &Resource) -> Name {
        Name { tenant_id: tenant(), resource: resource.clone() }
    }

    fn first(&self, name: &Name) -> Option<LeaseId> {
        let standing = self.leases.values().filter_map(|lease| {
            let waiting = lease.waiting().filter(|waiting| !self.dead.contains(&waiting.instance_id))?;
            (lease.facts.name(&lease.facts.resources[waiting.standing]) == *name)
                .then_some((waiting.place, lease.facts.lease_id))
        });
        standing.min().map(|(_, lease_id)| lease_id)
    }

    /// All heads and leases, as a look finds them.
    pub(crate) fn look(&self) -> (BTreeMap<Name, Head>, HashMap<LeaseId, Lease>) {
        let mut leases = self.leases.clone();
        for lease in leases.values_mut() {
            if let State::Waiting(waiting) = &mut lease.state {
                waiting.is_live = !self.dead.contains(&waiting.instance_id);
            }
        }
        let stands_at = |lease: &Lease, name: &Name| {
            let standing = lease.waiting().map(|waiting| &lease.facts.resources[waiting.standing]);
            standing.is_some_and(|resource| lease.facts.name(resource) == *name)
        };
        let heads = resources().into_iter().map(|resource| {
            let name = self.name(&resource);
            let mut head = self.heads.get(&name).cloned().unwrap_or(Head::UNWRITTEN);
            head.queue = match self.first(&name) {
                Some(first) => Queue::First(first),
                None if leases.values().any(|lease| stands_at(lease, &name)) => Queue::Dead,
                None => Queue::Empty,
            };
            (name, head)
        });
        (heads.collect(), leases)
    }

    /// What acts ask for, one after the other, of the world as it is now; the others change it.
    pub(crate) fn commands(&mut self, acts: &[Act]) -> Vec<Command> {
        // Instances come back under new ids; here they are alive again.
        if self.dead.len() > 2 {
            self.dead.clear();
        }
        let mut commands = Vec::new();
        for act in acts {
            match act {
                Act::Die(number) => self.dead.push(instance(*number)),
                Act::Pass(ms) => self.now += TimeDelta::milliseconds(*ms),
                other => commands.extend(self.command(other)),
            }
        }
        commands
    }

    fn pick(&self, index: usize) -> Option<Lease> {
        let mut leases: Vec<&Lease> = self.leases.values().collect();
        leases.sort_by_key(|lease| lease.facts.lease_id);
        (!leases.is_empty()).then(|| leases[index % leases.len()].clone())
    }

    fn command(&self, act: &Act) -> Option<Command> {
        let tenant_id = tenant();
        let reach = Reach { tenant_id: tenant_id.clone(), projects: None };
        Some(match act {
            Act::Acquire { owner, wanted, waits, key, instance: number } => {
                let all = resources();
                let wanted: Vec<Resource> = wanted.iter().map(|index| all[*index].clone()).collect();
                let key = key.map(|key| format!("key-{key}"));
                let facts = facts(&format!("owner-{owner}"), &wanted, key.as_deref());
                Command::Acquire { facts, call_id: Uuid::now_v7(), instance_id: instance(*number), waits: *waits }
            }
            Act::Claim(index) => {
                let lease = self.pick(*index)?;
                Command::Claim { tenant_id, lease_id: lease.facts.lease_id, call_id: lease.call_id }
            }
            Act::Leave(index) => {
                let lease = self.pick(*index)?;
                Command::Leave {
                    owner: lease.facts.owner.clone(),
                    names: lease.facts.names().collect(),
                    call_id: lease.call_id,
                    grant_too: true,
                    cause: cause("actor"),
                }
            }
            Act::Release(index) => {
                Command::Release { reach, lease_id: self.pick(*index)?.facts.lease_id, cause: cause("actor") }
            }
            Act::Force(index) => Command::Force {
                reach,
                lease_id: self.pick(*index)?.facts.lease_id,
                reason: "stuck".to_owned(),
                cause: cause("owner"),
            },
            Act::Expire(index) => {
                Command::Expire { tenant_id, lease_id: self.pick(*index)?.facts.lease_id, cause: cause("system") }
            }
            Act::Abandon(index) => {
                let lease_id = self.pick(*index)?.facts.lease_id;
                Command::Abandon { tenant_id, lease_id, why: Unattended::Instance }
            }
            Act::Die(_) | Act::Pass(_) => return None,
        })
    }

    pub(crate) fn run(&mut self, commands: &[Command]) -> Vec<Outcome> {
        let order = order();
        let (heads, leases) = self.look();
        let mut board = Board::new(&order, self.now, heads, leases);
        let outcomes: Vec<Outcome> = commands.iter().map(|command| board.run(command)).collect();
        self.write(&board);
        outcomes
    }

    /// As the store does it.
    pub(crate) fn write(&mut self, board: &Board<'_>) {
        let fences: BTreeMap<Name, i64> = self.heads.iter().map(|(name, head)| (name.clone(), head.fence)).collect();
        let changes = board.changes();
        let moved: BTreeSet<LeaseId> =
            changes.put.iter().chain(&changes.told_again).chain(changes.removed.keys()).copied().collect();
        for lease_id in moved {
            let lease = board.lease(lease_id).or(self.leases.get(&lease_id));
            let mut names = lease.into_iter().flat_map(|lease| lease.facts.names());
            assert!(lease.is_none() || names.any(|name| changes.heads.contains(&name)), "a lease moves alone");
        }
        for lease_id in board.changes().put.clone() {
            self.leases.insert(lease_id, board.lease(lease_id).unwrap().clone());
        }
        for lease_id in &board.changes().told_again {
            self.leases.get_mut(lease_id).unwrap().call_id = board.lease(*lease_id).unwrap().call_id;
        }
        for lease_id in board.changes().removed.keys() {
            self.leases.remove(lease_id);
        }
        for name in board.changes().heads.clone() {
            let turn = board.next_turn(&name, &board.heads[&name]);
            assert!(turn > self.heads.get(&name).map_or(0, |head| head.turn), "a turn that does not grow");
            self.heads.insert(name.clone(), Head { turn, ..board.heads[&name].clone() });
        }
        let mut versions: BTreeMap<Name, i64> = BTreeMap::new();
        for entry in &board.changes().entries {
            if let What::Granted { .. } = entry.what {
                let before = self.granted.get(&entry.name).and_then(|all| all.last()).map_or(0, |(fence, _)| *fence);
                let highest = fences.get(&entry.name).copied().unwrap_or_default();
                assert!(entry.fence > before.max(highest), "a token that is not higher");
                self.granted.entry(entry.name.clone()).or_default().push((entry.fence, entry.lease_id));
            }
            let last = versions.insert(entry.name.clone(), entry.version);
            assert!(last.is_none_or(|last| last + 1 == entry.version), "versions have a gap");
        }
        self.check();
    }

    fn check(&self) {
        for (name, head) in &self.heads {
            if let Some(lease_id) = head.lease_id {
                let lease = self.leases.get(&lease_id).expect("a head's lease is there");
                let index = lease.facts.resources.iter().position(|resource| *resource == name.resource);
                let index = index.expect("a head's lease is about it");
                if let Some(waiting) = lease.waiting() {
                    assert!(index < waiting.standing, "reserved, and not its turn yet");
                }
            }
        }
        for lease in self.leases.values() {
            let taken = lease.waiting().map_or(lease.facts.resources.len(), |waiting| waiting.standing);
            for resource in &lease.facts.resources[..taken] {
                let head = &self.heads[&self.name(resource)];
                assert_eq!(head.lease_id, Some(lease.facts.lease_id), "held, and the head is another's");
            }
            if let Some(held) = lease.held() {
                for (resource, fence) in lease.facts.resources.iter().zip(&held.fences) {
                    assert_eq!(self.heads[&self.name(resource)].fence, *fence, "the holder's token is the highest");
                }
            }
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Act {
    Acquire { owner: u8, wanted: Vec<usize>, waits: bool, key: Option<u8>, instance: u8 },
    Claim(usize),
    Leave(usize),
    Release(usize),
    Force(usize),
    Expire(usize),
    Abandon(usize),
    Die(u8),
    Pass(i64),
}

pub(crate) fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..8_u8, prop::collection::btree_set(0..6_usize, 1..4), any::<bool>(), prop::option::of(0..6_u8), 0..3_u8).prop_map(
            |(owner, wanted, waits, key, instance)| Act::Acquire {
                owner,
                wanted: wanted.into_iter().collect(),
                waits,
                key,
                instance
            }
        ),
        4 => (0..20_usize).prop_map(Act::Claim),
        2 => (0..20_usize).prop_map(Act::Leave),
        4 => (0..20_usize).prop_map(Act::Release),
        1 => (0..20_usize).prop_map(Act::Force),
        1 => (0..20_usize).prop_map(Act::Expire),
        1 => (0..20_usize).prop_map(Act::Abandon),
        1 => (0..3_u8).prop_map(Act::Die),
        2 => (1..2000_i64).prop_map(Act::Pass),
    ]
}

pub(crate) fn instance(number: u8) -> InstanceId {
    InstanceId::from_uuid(Uuid::from_u128(u128::from(number) + 1))
}
