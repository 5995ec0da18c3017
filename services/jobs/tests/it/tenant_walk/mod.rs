//! Two tenants do everything there is to do, in random order and under the same names: projects, intents, keys, workers,
//! people. Each also asks for what is the other's.
//!
//! Nothing that one is answered may hold anything of the other, and what is the other's is answered as what is nobody's.
//! A model keeps what each has done; in the end the rows of each are exactly that. The walk must have passed every method of
//! the contracts. A failure prints the seed; HOLDFAST_WALK_SEED walks the same way again.

mod aftermath;
mod approvals;
mod jobs;
mod keys;
mod model;
mod projects;
mod session;
mod side;
mod usage;
mod work;

use std::collections::BTreeSet;

use anyhow::Result;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::support::raw::{Method, methods};
use crate::support::*;
use side::{Side, name_of};

const STEPS: usize = 320;

/// Which of the two tenants.
type Who = usize;

#[derive(Debug, Clone, Copy)]
enum Step {
    Submit,
    SubmitBatch,
    Get,
    List,
    History,
    Cancel,
    Decide,
    Approvals,
    Resubmit,
    Watch,
    Lease,
    Extend,
    Complete,
    Fail,
    Session,
    RecordUsage,
    GetBudget,
    Reserve,
    CompleteKey,
    GetKey,
    UpdateProject,
    GetProject,
    ListProjects,
}

const ALL: [Step; 23] = [
    Step::Submit,
    Step::SubmitBatch,
    Step::Get,
    Step::List,
    Step::History,
    Step::Cancel,
    Step::Decide,
    Step::Approvals,
    Step::Resubmit,
    Step::Watch,
    Step::Lease,
    Step::Extend,
    Step::Complete,
    Step::Fail,
    Step::Session,
    Step::RecordUsage,
    Step::GetBudget,
    Step::Reserve,
    Step::CompleteKey,
    Step::GetKey,
    Step::UpdateProject,
    Step::GetProject,
    Step::ListProjects,
];

struct Walk {
    world: World,
    rng: StdRng,
    sides: [Side; 2],
    methods: Vec<Method>,
    /// Those called so far.
    walked: BTreeSet<String>,
}

impl Walk {
    async fn begin(seed: u64) -> Result<Self> {
        // Leases that outlast the walk: nothing moves but by a step.
        let world = World::with(Settings::default().set("leases.ttl_ms", 3_600_000)).await?;
        let sides = [Side::new(&world, tenant()), Side::new(&world, tenant())];
        let (rng, methods) = (StdRng::seed_from_u64(seed), methods());
        Ok(Self { world, rng, sides, methods, walked: BTreeSet::new() })
    }

    async fn take(&mut self, step: Step, own: Who) -> Result<()> {
        match step {
            Step::Submit => self.submit(own).await,
            Step::SubmitBatch => self.submit_batch(own).await,
            Step::Get => self.get(own).await,
            Step::List => self.list(own).await,
            Step::History => self.history(own).await,
            Step::Cancel => self.cancel(own).await,
            Step::Decide => self.decide(own).await,
            Step::Approvals => self.approvals(own).await,
            Step::Resubmit => self.resubmit(own).await,
            Step::Watch => self.watch(own).await,
            Step::Lease => self.lease(own).await,
            Step::Extend => self.extend(own).await,
            Step::Complete => self.complete(own).await,
            Step::Fail => self.fail(own).await,
            Step::Session => self.session(own).await,
            Step::RecordUsage => self.record_usage(own).await,
            Step::GetBudget => self.get_budget(own).await,
            Step::Reserve => self.reserve(own).await,
            Step::CompleteKey => self.complete_key(own).await,
            Step::GetKey => self.get_key(own).await,
            Step::UpdateProject => self.update_project(own).await,
            Step::GetProject => self.get_project(own).await,
            Step::ListProjects => self.list_projects(own).await,
        }
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> Option<T> {
        choices.choose(&mut self.rng).cloned()
    }
}

#[test]
fn two_tenants_under_the_same_names_never_meet() -> Result<()> {
    let seed = std::env::var("HOLDFAST_WALK_SEED").ok().map_or_else(|| Ok(rand::random()), |seed| seed.parse())?;
    println!("HOLDFAST_WALK_SEED={seed}");
    run(async move {
        let mut walk = Walk::begin(seed).await?;
        for number in 0..STEPS {
            let (own, step) = (walk.rng.random_range(0..2), walk.one_of(&ALL).expect("there are steps"));
            println!("{number}: tenant {own}: {step:?}");
            walk.take(step, own).await?;
        }
        let every: BTreeSet<String> = walk.methods.iter().map(name_of).collect();
        assert_eq!(walk.walked, every, "this walk does not know a method: add a step for it");
        walk.check_rows().await
    })
}
