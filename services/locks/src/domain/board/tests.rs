//! Random commands in random batches, on a board that is loaded and written back as the store does it; after each batch what must hold is looked at.

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
const STALE_AFTER_MS: i32 = 1500;

pub(crate) fn order() -> Order {
    let class = |name, rank| Class { name: LockClass::parse(name).unwrap(), rank, description: String::new() };
    Order::new(vec![class("memory", 40), class("infrastructure", 10), class("project", 30), class("budget", 20)])
}

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn resource(class: &str, key: usize) -> Resource {
    Resource {
        project_id: ProjectId::parse("team").unwrap(),
        class: LockClass::parse(class).unwrap(),
        key: ResourceKey::parse(&format!("r{key}")).unwrap(),
    }
}

/// Six resources, in their order.
fn resources() -> Vec<Resource> {
    let classes = ["infrastructure", "infrastructure", "budget", "project", "project", "memory"];
    classes.iter().enumerate().map(|(key, class)| resource(class, key)).collect()
}

fn cause(actor: &str) -> Cause {
    Cause { actor_id: ActorId::parse(actor).unwrap(), request_id: "request".to_owned(), traceparent: String::new() }
}

fn facts(owner: &str, wanted: &[Resource], key: Option<&str>) -> Facts {
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
    leases: HashMap<LeaseId, Lease>,
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
            let turn = board.next_turn(&name, board.head(&name));
            assert!(turn > self.heads.get(&name).map_or(0, |head| head.turn), "a turn that does not grow");
            self.heads.insert(name.clone(), Head { turn, ..board.head(&name).clone() });
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

fn pick(world: &World, index: usize) -> Option<Lease> {
    let mut leases: Vec<&Lease> = world.leases.values().collect();
    leases.sort_by_key(|lease| lease.facts.lease_id);
    (!leases.is_empty()).then(|| leases[index % leases.len()].clone())
}

pub(crate) fn command(world: &World, act: &Act) -> Option<Command> {
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
            let lease = pick(world, *index)?;
            Command::Claim { tenant_id, lease_id: lease.facts.lease_id, call_id: lease.call_id }
        }
        Act::Leave(index) => {
            let lease = pick(world, *index)?;
            Command::Leave {
                owner: lease.facts.owner.clone(),
                names: lease.facts.names().collect(),
                call_id: lease.call_id,
                grant_too: true,
                cause: cause("actor"),
            }
        }
        Act::Release(index) => {
            Command::Release { reach, lease_id: pick(world, *index)?.facts.lease_id, cause: cause("actor") }
        }
        Act::Force(index) => Command::Force {
            reach,
            lease_id: pick(world, *index)?.facts.lease_id,
            reason: "stuck".to_owned(),
            cause: cause("owner"),
        },
        Act::Expire(index) => {
            Command::Expire { tenant_id, lease_id: pick(world, *index)?.facts.lease_id, cause: cause("system") }
        }
        Act::Abandon(index) => {
            let lease_id = pick(world, *index)?.facts.lease_id;
            Command::Abandon { tenant_id, lease_id, why: Unattended::Instance }
        }
        Act::Die(_) | Act::Pass(_) => return None,
    })
}

/// Nobody waits for ever: once all that is held is released, and whoever may go on does, again and again, all are served.
fn drain(world: &mut World) {
    world.now += TimeDelta::milliseconds(i64::from(STALE_AFTER_MS) + 1);
    for _ in 0..200 {
        let mut leases: Vec<Lease> = world.leases.values().cloned().collect();
        if leases.is_empty() {
            return;
        }
        leases.sort_by_key(|lease| lease.facts.lease_id);
        let tenant_id = tenant();
        for lease in leases {
            let lease_id = lease.facts.lease_id;
            let command = match lease.state {
                // Whoever waits for more keeps what it has until it has that too: so circles would show.
                State::Held(_)
                    if world
                        .leases
                        .values()
                        .any(|other| other.waiting().is_some() && other.facts.owner == lease.facts.owner) =>
                {
                    continue;
                }
                State::Held(_) if lease.is_stale(world.now) => {
                    Command::Expire { tenant_id: tenant_id.clone(), lease_id, cause: cause("system:lock_expiry") }
                }
                State::Held(_) => Command::Release {
                    reach: Reach { tenant_id: tenant_id.clone(), projects: None },
                    lease_id,
                    cause: cause("actor"),
                },
                State::Waiting(waiting) if world.dead.contains(&waiting.instance_id) => {
                    Command::Abandon { tenant_id: tenant_id.clone(), lease_id, why: Unattended::Instance }
                }
                State::Waiting(_) => Command::Claim { tenant_id: tenant_id.clone(), lease_id, call_id: lease.call_id },
            };
            world.run(&[command]);
        }
    }
    panic!("stuck: {:?}", world.leases);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_must_hold_holds_and_nobody_is_stuck(batches in prop::collection::vec(prop::collection::vec(act(), 1..6), 1..30)) {
        let mut world = World::new();
        for batch in batches {
            let mut commands = Vec::new();
            for act in &batch {
                match act {
                    Act::Die(number) => world.dead.push(instance(*number)),
                    Act::Pass(ms) => world.now += TimeDelta::milliseconds(*ms),
                    other => commands.extend(command(&world, other)),
                }
            }
            world.run(&commands);
            // Instances come back under new ids; here they are alive again.
            if world.dead.len() > 2 {
                world.dead.clear();
            }
        }
        drain(&mut world);
    }
}

fn acquire(world: &mut World, owner: &str, wanted: &[Resource], waits: bool) -> Outcome {
    let facts = facts(owner, wanted, None);
    world.run(&[Command::Acquire { facts, call_id: Uuid::now_v7(), instance_id: instance(0), waits }]).remove(0)
}

fn granted(outcome: &Outcome) -> &Lease {
    match outcome {
        Outcome::Granted { lease, .. } => lease,
        other => panic!("not granted: {other:?}"),
    }
}

#[test]
fn first_come_first_served_and_nobody_goes_past_who_waits() {
    let mut world = World::new();
    let main = resource("project", 3);
    let first = granted(&acquire(&mut world, "a", std::slice::from_ref(&main), true)).clone();
    let Outcome::Waiting { lease_id, place: 1, .. } = acquire(&mut world, "b", std::slice::from_ref(&main), true)
    else {
        panic!("b waits first")
    };
    let Outcome::Waiting { place: 2, lease_id: third, .. } =
        acquire(&mut world, "c", std::slice::from_ref(&main), true)
    else {
        panic!("c waits second")
    };
    let reach = Reach { tenant_id: tenant(), projects: None };
    world.run(&[Command::Release { reach, lease_id: first.facts.lease_id, cause: cause("actor") }]);
    // Free, and not for whoever comes now.
    assert!(matches!(acquire(&mut world, "d", std::slice::from_ref(&main), false), Outcome::Busy { .. }));
    let claim =
        |lease: &Lease| Command::Claim { tenant_id: tenant(), lease_id: lease.facts.lease_id, call_id: lease.call_id };
    let (b, c) = (world.leases[&lease_id].clone(), world.leases[&third].clone());
    assert!(matches!(world.run(&[claim(&c)])[0], Outcome::Waiting { .. }));
    assert_eq!(granted(&world.run(&[claim(&b)])[0]).facts.owner.label.as_str(), "b");
}

#[test]
fn an_owner_takes_in_order_only() {
    let mut world = World::new();
    let all = resources();
    granted(&acquire(&mut world, "a", &[all[3].clone()], false));
    for earlier in &all[..4] {
        let refused = acquire(&mut world, "a", std::slice::from_ref(earlier), true);
        assert_eq!(refused, Outcome::OutOfOrder { after: all[3].clone() });
    }
    granted(&acquire(&mut world, "a", &[all[5].clone(), all[4].clone()], false));
    // Another owner is not bound by it.
    granted(&acquire(&mut world, "b", &[all[0].clone()], false));
    // One that waits asks for nothing more, whatever it is.
    assert!(matches!(acquire(&mut world, "c", &[all[0].clone()], true), Outcome::Waiting { .. }));
    assert_eq!(acquire(&mut world, "c", &[all[2].clone()], true), Outcome::OutOfOrder { after: all[0].clone() });
}

#[test]
fn a_command_on_another_tenants_lease_finds_none() {
    let mut world = World::new();
    let held = granted(&acquire(&mut world, "a", &[resource("project", 3)], false)).clone();
    let other = TenantId::parse("other").unwrap();
    let (lease_id, call_id) = (held.facts.lease_id, held.call_id);
    let reach = Reach { tenant_id: other.clone(), projects: None };
    world.now += TimeDelta::milliseconds(i64::from(STALE_AFTER_MS));
    let outcomes = world.run(&[
        Command::Release { reach: reach.clone(), lease_id, cause: cause("actor") },
        Command::Force { reach, lease_id, reason: String::new(), cause: cause("actor") },
        Command::Claim { tenant_id: other.clone(), lease_id, call_id },
        Command::Expire { tenant_id: other.clone(), lease_id, cause: cause("system") },
        Command::Abandon { tenant_id: other, lease_id, why: Unattended::Call(call_id) },
    ]);
    assert_eq!(outcomes, [Outcome::Gone, Outcome::Gone, Outcome::Gone, Outcome::Nothing, Outcome::Nothing]);
    assert!(world.leases.contains_key(&lease_id));
}

#[test]
fn a_stale_lease_is_in_the_way_until_it_is_ended_and_not_before() {
    let mut world = World::new();
    let main = resource("project", 3);
    let held = granted(&acquire(&mut world, "a", std::slice::from_ref(&main), false)).clone();
    let expire = Command::Expire { tenant_id: tenant(), lease_id: held.facts.lease_id, cause: cause("system") };
    world.now += TimeDelta::milliseconds(i64::from(STALE_AFTER_MS) - 1);
    assert!(matches!(acquire(&mut world, "b", std::slice::from_ref(&main), false), Outcome::Busy { .. }));
    assert_eq!(world.run(std::slice::from_ref(&expire)), [Outcome::Nothing]);
    world.now += TimeDelta::milliseconds(1);
    let stale = Outcome::Stale { lease_id: held.facts.lease_id };
    assert_eq!(acquire(&mut world, "b", std::slice::from_ref(&main), false), stale);
    assert!(matches!(world.run(&[expire])[0], Outcome::Ended { .. }));
    granted(&acquire(&mut world, "b", &[main], false));
}

#[test]
fn a_token_is_never_behind_the_clock_and_grows_where_the_clock_does_not() {
    let mut world = World::new();
    let main = resource("project", 3);
    let mut last = world.now.timestamp_micros() - 1;
    for round in 0..5 {
        let lease = granted(&acquire(&mut world, "a", std::slice::from_ref(&main), false)).clone();
        let fence = lease.held().unwrap().fences[0];
        assert!(fence > last, "round {round}");
        last = fence;
        let reach = Reach { tenant_id: tenant(), projects: None };
        world.run(&[Command::Release { reach, lease_id: lease.facts.lease_id, cause: cause("actor") }]);
        // It goes back now and then.
        world.now += TimeDelta::milliseconds(if round % 2 == 0 { -500 } else { 1 });
    }
}

#[test]
fn a_grant_is_not_withdrawn_by_an_earlier_call_once_a_later_one_was_told_of_it() {
    let mut world = World::new();
    let facts = facts("a", &[resource("project", 3)], Some("once"));
    let ask = |call_id| {
        let facts = Facts { lease_id: LeaseId::new(), ..facts.clone() };
        Command::Acquire { facts, call_id, instance_id: instance(0), waits: true }
    };
    let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
    granted(&world.run(&[ask(first)])[0]);
    let again = world.run(&[ask(second)]);
    assert!(matches!(&again[0], Outcome::Granted { replayed: true, .. }));
    let leave = |call_id| Command::Leave {
        owner: facts.owner.clone(),
        names: facts.names().collect(),
        call_id,
        grant_too: true,
        cause: cause("actor"),
    };
    assert_eq!(world.run(&[leave(first)]), [Outcome::Gone]);
    assert!(matches!(world.run(&[leave(second)])[0], Outcome::Ended { .. }));
}

#[test]
fn a_request_of_which_nobody_knows_whether_it_was_written_finds_itself() {
    let mut world = World::new();
    let main = resource("project", 3);
    let ask = |owner: &str| Command::Acquire {
        facts: facts(owner, std::slice::from_ref(&main), None),
        call_id: Uuid::now_v7(),
        instance_id: instance(0),
        waits: true,
    };
    let (first, second) = (ask("a"), ask("b"));
    let was = granted(&world.run(std::slice::from_ref(&first))[0]).clone();
    let Outcome::Waiting { place, .. } = world.run(std::slice::from_ref(&second)).remove(0) else { panic!("it waits") };
    let again = world.run(&[first, second]);
    assert!(matches!(&again[0], Outcome::Granted { lease, replayed: false, .. } if **lease == was));
    assert!(matches!(&again[1], Outcome::Waiting { place: still, .. } if *still == place));
}
