//! Random commands in random batches, and what each rule comes to.

use chrono::TimeDelta;
use holdfast_ids::{LeaseId, TenantId};
use proptest::prelude::*;
use uuid::Uuid;

use super::world::{STALE_AFTER_MS, World, act, cause, facts, instance, resource, resources, tenant};
use super::*;
use crate::domain::lease::Reach;

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
            let commands = world.commands(&batch);
            world.run(&commands);
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
    let Command::Leave { owner, names, call_id, cause, .. } = leave(second) else { unreachable!() };
    let told = world.run(&[Command::Leave { owner, names, call_id, grant_too: false, cause }]);
    assert_eq!(granted(&told[0]), granted(&again[0]));
    assert!(matches!(world.run(&[leave(second)])[0], Outcome::Ended { .. }));
}

#[test]
fn who_leaves_and_finds_nothing_keeps_out_what_the_call_may_still_write() {
    let mut world = World::new();
    let facts = facts("a", &[resource("project", 3), resource("budget", 2)], None);
    let names: Vec<Name> = facts.names().collect();
    let turns = |world: &World| names.iter().map(|name| world.look().0[name].turn).collect::<Vec<_>>();
    let before = turns(&world);
    let leave = Command::Leave {
        owner: facts.owner.clone(),
        names: names.clone(),
        call_id: Uuid::now_v7(),
        grant_too: true,
        cause: cause("actor"),
    };
    assert_eq!(world.run(&[leave]), [Outcome::Gone]);
    assert!(turns(&world).iter().zip(&before).all(|(after, before)| after > before), "a head has not moved");
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
