//! Any sequence of operations on the jobs of a project.

use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::TimeDelta;
use holdfast_ids::ApprovalId;
use holdfast_jobs::domain::approval::Decision;
use holdfast_jobs::domain::hold::{Hold, Scope, Switch};
use holdfast_jobs::domain::job::Queue;
use holdfast_jobs::domain::payload::Payload;
use holdfast_jobs::domain::transition::Reported;
use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};

use super::oracle::{Asked, Oracle, Whose};
use super::project::{Project, Store, Terms};
use crate::support::{fresh_key, run};

const CASES: u32 = 32;
const JOBS_MAX: usize = 4;
const STEPS: RangeInclusive<usize> = 16..=48;

#[derive(Debug, Clone)]
struct Case {
    running_max: i32,
    jobs: Vec<Terms>,
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
enum Step {
    Claim {
        jobs_max: usize,
        ttl_ms: u64,
    },
    /// At most one of them for each job counts, as in the service.
    Ask {
        commands: Vec<(usize, Command)>,
        chance: f64,
    },
    Extend {
        job: usize,
        whose: Whose,
        ttl_ms: u64,
    },
    Sweep {
        chance: f64,
    },
    Promote,
    RunOut,
    Unblock,
    ExceedBudget,
    /// Policy is away, or a switch is on.
    Stop {
        is_switch: bool,
    },
    Resume,
    Age {
        ms: i64,
    },
}

#[derive(Debug, Clone)]
enum Command {
    Complete {
        whose: Whose,
        result: Vec<u8>,
    },
    Fail {
        whose: Whose,
        retryable: bool,
    },
    Release {
        whose: Whose,
    },
    Cancel,
    Decide(Decision),
    /// The command before, once more.
    Repeat,
}

impl Command {
    /// Spoken to one job; None where there is nothing to repeat.
    fn to(&self, oracle: &Oracle) -> Option<Asked> {
        Some(match self {
            Self::Complete { whose, result } => {
                let result = Payload { data: result.clone().into(), content_type: "text/plain".to_owned() };
                Asked::Complete(oracle.presented(*whose), result)
            }
            Self::Fail { whose, retryable } => {
                let (code, message) = ("disk_full".to_owned(), "no space left".to_owned());
                Asked::Fail(oracle.presented(*whose), Reported { retryable: *retryable, code, message })
            }
            Self::Release { whose } => Asked::Release(oracle.presented(*whose)),
            Self::Decide(decision) => Asked::Decide { approval_id: ApprovalId::new(), decision: *decision },
            Self::Cancel => Asked::Cancel { reason: "not needed".to_owned(), key: fresh_key() },
            Self::Repeat => oracle.last_asked.clone()?,
        })
    }
}

fn terms() -> impl Strategy<Value = Terms> {
    let queue = prop_oneof![3 => Just(Queue::Project), 1 => Just(Queue::Infra)];
    let run_budget_ms = prop_oneof![1 => Just(1_000), 1 => Just(60_000), 4 => Just(600_000)];
    let (is_delayed, is_dangerous) = (prop::bool::weighted(0.2), prop::bool::weighted(0.4));
    let total_budget_ms = prop_oneof![1 => Just(20_000), 1 => Just(100_000), 2 => Just(3_600_000)];
    let budgets = (run_budget_ms, total_budget_ms);
    (queue, 0..=9_i16, 1..=4, budgets, is_delayed, is_dangerous, prop::bool::weighted(0.25)).prop_map(
        |(queue, priority, max_attempts, (run_budget_ms, total_budget_ms), is_delayed, is_dangerous, is_blocked)| {
            Terms {
                queue,
                priority,
                max_attempts,
                run_budget_ms,
                total_budget_ms,
                is_delayed,
                is_dangerous,
                is_blocked,
            }
        },
    )
}

fn whose() -> impl Strategy<Value = Whose> {
    prop_oneof![
        12 => Just(Whose::Holders),
        1 => Just(Whose::Stale),
        1 => Just(Whose::OldFence),
        1 => Just(Whose::OldLease),
        1 => Just(Whose::Invented),
    ]
}

fn ttl_ms() -> impl Strategy<Value = u64> {
    prop_oneof![1 => Just(1), 4 => Just(30_000), 2 => Just(300_000)]
}

fn command() -> impl Strategy<Value = Command> {
    let result = prop::collection::vec(any::<u8>(), 0..20);
    prop_oneof![
        2 => (whose(), result).prop_map(|(whose, result)| Command::Complete { whose, result }),
        5 => (whose(), prop::bool::weighted(0.8)).prop_map(|(whose, retryable)| Command::Fail { whose, retryable }),
        2 => whose().prop_map(|whose| Command::Release { whose }),
        1 => Just(Command::Cancel),
        3 => Just(Command::Decide(Decision::Approve)),
        2 => Just(Command::Decide(Decision::Defer)),
        1 => Just(Command::Decide(Decision::Reject)),
        1 => Just(Command::Decide(Decision::RequestChanges)),
        2 => Just(Command::Repeat),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let commands = prop::collection::vec((0..JOBS_MAX, command()), 1..=JOBS_MAX);
    prop_oneof![
        5 => (1..=JOBS_MAX, ttl_ms()).prop_map(|(jobs_max, ttl_ms)| Step::Claim { jobs_max, ttl_ms }),
        5 => (commands, 0.0..1.0).prop_map(|(commands, chance)| Step::Ask { commands, chance }),
        2 => (0..JOBS_MAX, whose(), ttl_ms()).prop_map(|(job, whose, ttl_ms)| Step::Extend { job, whose, ttl_ms }),
        2 => (0.0..1.0).prop_map(|chance| Step::Sweep { chance }),
        3 => Just(Step::Promote),
        2 => Just(Step::RunOut),
        2 => Just(Step::Unblock),
        1 => Just(Step::ExceedBudget),
        2 => prop::bool::weighted(0.2).prop_map(|is_switch| Step::Stop { is_switch }),
        3 => Just(Step::Resume),
        3 => prop_oneof![2 => Just(500), 6 => Just(15_000), 1 => Just(50_000), 1 => Just(400_000)].prop_map(|ms| Step::Age { ms }),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let (jobs, steps) = (prop::collection::vec(terms(), 1..=JOBS_MAX), prop::collection::vec(step(), STEPS));
    (1..=3, jobs, steps).prop_map(|(running_max, jobs, steps)| Case { running_max, jobs, steps })
}

impl Step {
    async fn take(&self, project: &mut Project<'_>) -> Result<()> {
        let jobs = project.jobs.len();
        match self {
            Self::Claim { jobs_max, ttl_ms } => {
                project.claim(*jobs_max, Duration::from_millis(*ttl_ms)).await?;
            }
            Self::Ask { commands, chance } => {
                let mut asked: Vec<(usize, Asked)> = Vec::new();
                for (index, command) in commands.iter().map(|(index, command)| (index % jobs, command)) {
                    let is_first = asked.iter().all(|(other, _)| *other != index);
                    asked.extend(command.to(&project.jobs[index]).filter(|_| is_first).map(|asked| (index, asked)));
                }
                project.ask(&asked, *chance).await?;
            }
            Self::Extend { job, whose, ttl_ms } => {
                let presented = project.jobs[job % jobs].presented(*whose);
                project.extend(job % jobs, presented, Duration::from_millis(*ttl_ms)).await?;
            }
            Self::Sweep { chance } => {
                project.sweep(*chance).await?;
            }
            Self::Promote => {
                project.promote().await?;
            }
            Self::ExceedBudget => {
                project.exceed_budget(1).await?;
            }
            Self::RunOut => {
                project.run_out().await?;
            }
            Self::Unblock => {
                project.unblock().await?;
            }
            Self::Stop { is_switch } => {
                let switch = Switch::new(Scope::Global, "", "").context("the global switch")?;
                project.stop(&if *is_switch { Hold::KillSwitch(switch) } else { Hold::Policy }).await?;
            }
            Self::Resume => {
                project.resume().await?;
            }
            Self::Age { ms } => project.age(TimeDelta::milliseconds(*ms)).await?,
        }
        project.compare().await
    }
}

async fn play(store: &Store, case: &Case) -> Result<()> {
    let mut project = Project::new(store, case.running_max);
    for terms in &case.jobs {
        project.submit(terms).await?;
    }
    project.compare().await?;
    for (number, step) in case.steps.iter().enumerate() {
        step.take(&mut project).await.with_context(|| format!("step {number}, {step:?}"))?;
    }
    Ok(())
}

#[test]
fn rows_and_pure_transitions_agree_on_any_sequence_of_operations() -> Result<()> {
    let mut store = None;
    run(async {
        store = Some(Store::open().await?);
        Ok(())
    })?;
    let store = store.context("opened above")?;
    let config =
        ProptestConfig { failure_persistence: None, max_shrink_iters: 300, ..ProptestConfig::with_cases(CASES) };
    let outcome = TestRunner::new(config)
        .run(&case(), |case| run(play(&store, &case)).map_err(|error| TestCaseError::fail(format!("{error:#}"))));
    match outcome {
        Ok(()) => Ok(()),
        // The smallest case that fails so: it is all that is needed to see it again.
        Err(TestError::Fail(why, case)) => anyhow::bail!("{why}\n{case:#?}"),
        Err(TestError::Abort(why)) => anyhow::bail!("given up: {why}"),
    }
}
