use proptest::prelude::*;

use super::*;

const BOUNDS: Bounds = Bounds { floor: 0.05, cap: 0.6 };
const UNBOUNDED: Bounds = Bounds { floor: 0.0, cap: 1.0 };

fn flow(tenant: &str, project: &str, tenant_weight: u32, weight: u32, ready: usize) -> Flow {
    let (tenant_id, project_id) = (tenant.to_owned(), project.to_owned());
    Flow { queue: Queue::Project, tenant_id, project_id, tenant_weight, weight, ready }
}

/// Claims one after the other, all that is planned being leased; how many each flow had.
fn leased(clock: &mut Clock, flows: &[Flow], bounds: Bounds, claims: usize, jobs_max: usize) -> Vec<usize> {
    let mut had = vec![0; flows.len()];
    for _ in 0..claims {
        let plan = clock.plan(flows, bounds, jobs_max);
        clock.served(flows, &plan, &plan.jobs);
        had.iter_mut().zip(&plan.jobs).for_each(|(had, jobs)| *had += jobs);
    }
    had
}

#[test]
fn tenants_share_by_weight_and_so_do_the_projects_of_each() {
    let flows = [flow("a", "one", 1, 1, 99), flow("a", "two", 1, 3, 99), flow("b", "one", 4, 100, 99)];
    for jobs_max in [1, 3, 50] {
        let had = leased(&mut Clock::default(), &flows, UNBOUNDED, 6000 / jobs_max, jobs_max);
        for (had, expected) in had.iter().zip([300, 900, 4800]) {
            assert!(had.abs_diff(expected) <= 6, "{had} is not {expected}, {jobs_max} at a time");
        }
    }
}

#[test]
fn ten_tenants_with_weights_of_one_to_ten_get_them_but_for_the_floor() {
    let names: Vec<String> = (1..=10).map(|weight| format!("t{weight}")).collect();
    let flows: Vec<Flow> = (1..=10).map(|weight| flow(&names[weight as usize - 1], "p", weight, 100, 99)).collect();
    let had = leased(&mut Clock::default(), &flows, BOUNDS, 10_000, 1);
    // The two lowest are raised to 5 %; the others share 90 % by 3 to 10, of 52.
    for (index, had) in had.iter().enumerate() {
        let expected = if index < 2 { 500.0 } else { 9000.0 * (index + 1) as f64 / 52.0 };
        assert!((*had as f64 - expected).abs() <= 3.0, "{}: {had} is not {expected}", names[index]);
    }
}

#[test]
fn a_floor_is_no_more_than_an_equal_share_and_a_cap_no_less_than_what_others_want() {
    let many: Vec<Flow> = (0..40).map(|number| flow(&format!("t{number}"), "p", 1 + number, 100, 9)).collect();
    let of_many = shares(&many.iter().collect::<Vec<_>>(), BOUNDS);
    assert!(of_many.iter().all(|share| (share - 1.0 / 40.0).abs() < 1e-6), "{of_many:?}");
    // Many projects of one tenant are many within it, and one among the tenants.
    let mut crowd: Vec<Flow> = (0..40).map(|number| flow("crowd", &format!("p{number}"), 1, 1, 9)).collect();
    crowd.push(flow("alone", "p", 1, 1, 9));
    let of_crowd = shares(&crowd.iter().collect::<Vec<_>>(), BOUNDS);
    assert!((of_crowd[40] - 0.5).abs() < 1e-6, "{of_crowd:?}");
    let two = [flow("a", "p", 99, 1, 9), flow("b", "p", 1, 1, 9)];
    assert_eq!(
        shares(&two.iter().collect::<Vec<_>>(), BOUNDS).iter().map(|s| (s * 1e3).round()).collect::<Vec<_>>(),
        [600.0, 400.0]
    );
    assert_eq!(shares(&[&two[0]], BOUNDS), [1.0]);
}

#[test]
fn who_comes_back_has_no_claim_to_the_time_it_was_away() {
    let (busy, idle) = (flow("a", "p", 1, 1, 99), flow("b", "p", 1, 1, 99));
    let mut clock = Clock::default();
    leased(&mut clock, &[busy.clone(), idle.clone()], BOUNDS, 10, 1);
    leased(&mut clock, std::slice::from_ref(&busy), BOUNDS, 1000, 1);
    let had = leased(&mut clock, &[busy, idle], BOUNDS, 100, 1);
    assert!((46..=50).contains(&had[0]) && had[1] <= 54 + BEHIND_MAX as usize, "{had:?}");
}

#[test]
fn projects_that_come_and_go_gain_their_tenant_nothing() {
    let (mut clock, mut steady) = (Clock::default(), 0);
    for number in 0..1000 {
        let flows = [flow("fickle", &format!("p{number}"), 1, 1, 1), flow("steady", "p", 1, 1, 99)];
        steady += leased(&mut clock, &flows, BOUNDS, 1, 1)[1];
    }
    assert!((490..=510).contains(&steady), "{steady}");
}

#[test]
fn a_flood_of_one_class_leaves_the_other_its_half() {
    let infra = Flow { queue: Queue::Infra, ..flow("a", "p", 1, 1, 9999) };
    let flows = [infra, flow("b", "p", 1, 1, 5), flow("c", "p", 1, 1, 5)];
    let had = leased(&mut Clock::default(), &flows, BOUNDS, 100, 1);
    assert_eq!(had, [50, 25, 25]);
}

#[test]
fn what_was_not_leased_is_made_up_for() {
    let flows = [flow("a", "p", 1, 1, 99), flow("b", "p", 1, 1, 99)];
    let mut clock = Clock::default();
    leased(&mut clock, &flows, BOUNDS, 10, 2);
    let plan = clock.plan(&flows, BOUNDS, 8);
    assert_eq!(plan.jobs, [4, 4]);
    // Another instance held what b was to have.
    clock.served(&flows, &plan, &[4, 0]);
    assert_eq!(clock.plan(&flows, BOUNDS, 8).jobs, [2, 6]);
}

fn any_flows() -> impl Strategy<Value = Vec<Flow>> {
    let one = (0..4_u8, 0..5_u8, any::<bool>(), 1..1000_u32, 0..20_usize);
    prop::collection::vec(one, 1..20).prop_map(|all| {
        let flows: BTreeMap<_, _> = all
            .into_iter()
            .map(|(tenant, project, is_infra, weight, ready)| {
                let queue = if is_infra { Queue::Infra } else { Queue::Project };
                let flow = flow(&format!("t{tenant}"), &format!("p{project}"), 1 + u32::from(tenant), weight, ready);
                ((is_infra, tenant, project), Flow { queue, ..flow })
            })
            .collect();
        flows.into_values().collect()
    })
}

proptest! {
    #[test]
    fn every_place_is_given_as_long_as_something_is_ready(flows in any_flows(), jobs_max in 0..300_usize) {
        let plan = Clock::default().plan(&flows, BOUNDS, jobs_max);
        let ready: usize = flows.iter().map(|flow| flow.ready).sum();
        prop_assert_eq!(plan.total(), ready.min(jobs_max));
        prop_assert!(plan.jobs.iter().zip(&flows).all(|(jobs, flow)| *jobs <= flow.ready));
    }

    #[test]
    fn shares_come_to_one_within_floor_and_cap(flows in any_flows()) {
        let own: Vec<&Flow> = flows.iter().filter(|flow| flow.queue == Queue::Project).collect();
        prop_assume!(!own.is_empty());
        let shares = shares(&own, BOUNDS);
        prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-6, "{:?}", shares);
        let tenants: std::collections::BTreeSet<_> = own.iter().map(|flow| &flow.tenant_id).collect();
        for (flow, share) in own.iter().zip(&shares) {
            let siblings = own.iter().filter(|other| other.tenant_id == flow.tenant_id).count();
            let floor = BOUNDS.floor.min(1.0 / (tenants.len() * siblings) as f64);
            prop_assert!(*share >= floor - 1e-9 && (own.len() == 1 || *share <= BOUNDS.cap + 1e-9), "{:?}", shares);
        }
    }

    #[test]
    fn nobody_with_much_ready_is_behind_its_share_for_long(flows in any_flows(), jobs_max in 1..20_usize) {
        let flows: Vec<Flow> = flows.into_iter()
            .filter(|flow| flow.queue == Queue::Project).map(|flow| Flow { ready: 999, ..flow }).collect();
        prop_assume!(!flows.is_empty());
        let shares = shares(&flows.iter().collect::<Vec<_>>(), BOUNDS);
        let claims = 2000 / jobs_max;
        let had = leased(&mut Clock::default(), &flows, BOUNDS, claims, jobs_max);
        for (had, share) in had.iter().zip(&shares) {
            let due = share * (claims * jobs_max) as f64;
            // One round of its tenant and one of all tenants.
            prop_assert!((*had as f64 - due).abs() <= 2.0 + flows.len() as f64, "{:?} of {:?}", had, due);
        }
    }
}
