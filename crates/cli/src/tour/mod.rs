//! The tour: real work through a running stack, a crash on the way, and a reckoning.
//!
//! Every file that git tracks is one job. One waits for a person, one for two others. The submitter keeps a log of what it
//! was answered, each worker process one of what it was given and what was acknowledged, a reader one of the events. The
//! reckoning compares those logs with what the API says, what the tables hold, and what the files contain when they are
//! read directly. It takes no service's word for its own work.
//!
//! Fails where the tour cannot be held (no repository, no stack); anything found off is a problem in the [`Report`].

mod digest;
mod files;
mod fleet;
mod follower;
mod journal;
mod progress;
mod reckoning;
mod report;
mod submissions;
mod tables;

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use holdfast_client::Client;
use tokio::time::{Instant, interval};

pub(crate) use digest::DigestHandler;
pub(crate) use journal::JournalWriter;

use crate::{
    connection::{CallerArgs, ConnectionArgs, Minted},
    dev::{Layout, StackInfo},
    exit::Exit,
    output::{Format, print},
};
use files::Repository;
use fleet::Fleet;
use follower::Follower;
use progress::Progress;
use report::Report;
use submissions::{Plan, Submitted};
use tables::Tables;

pub(crate) const INTENT: &str = "repo.digest";
const GRAPH_JOBS: u16 = 3;
/// What the worker that will be killed must hold.
const HELD_AT_KILL_MIN: usize = 10;
const LOOK_EVERY: Duration = Duration::from_millis(50);
const ASK_TABLES_EVERY: Duration = Duration::from_secs(1);
const HOLD_PATIENCE: Duration = Duration::from_secs(30);
/// A call that can succeed later is repeated for this long.
const CALL_PATIENCE: Duration = Duration::from_secs(60);
/// Nothing at all happened for this long: something is stuck, and the reckoning will say what.
const STALLED_AFTER: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct TourOptions {
    layout: Layout,
    stack: StackInfo,
    repository: PathBuf,
    run_id: String,
}

impl TourOptions {
    pub(crate) fn new(layout: Layout, stack: StackInfo, repository: PathBuf) -> Self {
        // Keys of one run never meet those of another.
        let run_id = chrono::Utc::now().format("%Y%m%d-%H%M%S-%3f").to_string();
        Self { layout, stack, repository, run_id }
    }

    fn connection_args(&self) -> ConnectionArgs {
        ConnectionArgs {
            endpoint: Some(self.stack.endpoint.clone()),
            caller: CallerArgs {
                token: None,
                token_file: None,
                dir: self.layout.root().to_owned(),
                timeout: CALL_PATIENCE.as_secs(),
            },
        }
    }
}

/// Holds the tour and prints what came of it.
pub(crate) async fn run(options: &TourOptions, format: Format) -> anyhow::Result<Exit> {
    let report = Tour::prepare(options, format).await?.hold().await?;
    print(format, &report, || report.table())?;
    Ok(if report.is_good() { Exit::Ok } else { Exit::Failure })
}

/// Everything the tour needs, before it begins.
struct Tour<'a> {
    repository: Repository,
    plan: Plan,
    client: Client,
    tables: Tables,
    follower: Follower,
    fleet: Fleet<'a>,
    progress: Progress,
    options: &'a TourOptions,
    began: Instant,
}

impl<'a> Tour<'a> {
    async fn prepare(options: &'a TourOptions, format: Format) -> anyhow::Result<Self> {
        let began = Instant::now();
        let repository = Repository::open(&options.repository)?;
        let plan = Plan::of(&repository, &options.run_id)?;
        let directory = options.layout.tour(&options.run_id);
        std::fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        Ok(Self {
            client: options.connection_args().open(Minted::Person).await?,
            tables: Tables::open(&options.stack.admin_url()?).await?,
            follower: Follower::start(&options.stack, &directory).await?,
            fleet: Fleet::new(options, directory, repository.root()),
            progress: Progress::new(format, plan.len()),
            repository,
            plan,
            options,
            began,
        })
    }

    async fn hold(mut self) -> anyhow::Result<Report> {
        // The worker that will be killed is alone at first, so that it is what gets these jobs.
        self.fleet.start_victim().await?;
        let bait = self.plan.take(fleet::VICTIM_CAPACITY)?;
        let mut submitted = submissions::submit(&self.client, bait, &self.progress).await?;
        self.wait_until_victim_holds().await?;
        let (of_graph, graph) =
            submissions::submit_graph(&self.client, self.plan.take(GRAPH_JOBS)?, &self.progress).await?;
        submitted.merge(of_graph);
        self.fleet.start_workers().await?;

        let rest = std::mem::take(&mut self.plan.submissions);
        submitted.merge(self.submit_and_kill(rest).await?);
        submitted.write_log(&self.options.layout.tour(&self.options.run_id))?;
        self.wait_until_done(&submitted).await?;
        let stopped_badly = self.fleet.stop().await?;
        let followed = self.follower.finish(&mut self.tables, &submitted, &self.progress).await?;
        self.progress.finish();

        let mut report = reckoning::reckon(
            &reckoning::Evidence {
                run_id: &self.options.run_id,
                repository: &self.repository,
                submitted: &submitted,
                graph: &graph,
                journals: self.fleet.journals().collect(),
                followed: &followed,
                client: &self.client,
            },
            &mut self.tables,
        )
        .await?;
        report.problems.extend(stopped_badly);
        report.elapsed_ms = u64::try_from(self.began.elapsed().as_millis())?;
        Ok(report)
    }

    async fn wait_until_victim_holds(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + HOLD_PATIENCE;
        let mut ticks = interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            self.fleet.look()?;
            let held = self.fleet.held_by_victim();
            if held >= HELD_AT_KILL_MIN {
                return Ok(());
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "a worker should hold {HELD_AT_KILL_MIN} leases by now and holds {held}; does another worker lease {INTENT}?"
            );
        }
    }

    /// Submits while the others work, and kills the victim once they have done a third of all.
    async fn submit_and_kill(&mut self, rest: Vec<submissions::Submission>) -> anyhow::Result<Submitted> {
        let enough = (self.repository.files.len() / 3).max(1);
        let kill = async {
            let mut ticks = interval(LOOK_EVERY);
            let deadline = Instant::now() + STALLED_AFTER;
            loop {
                ticks.tick().await;
                self.fleet.look()?;
                self.progress.done(self.fleet.completed());
                if self.fleet.completed() >= enough {
                    break;
                }
                anyhow::ensure!(
                    Instant::now() < deadline,
                    "the workers have completed only {} jobs",
                    self.fleet.completed()
                );
            }
            let held = self.tables.held_by(fleet::VICTIM, &self.options.run_id).await?;
            anyhow::ensure!(held >= HELD_AT_KILL_MIN, "the worker to be killed holds only {held} leases");
            self.fleet.kill_victim().await
        };
        let (submitted, killed) = tokio::join!(submissions::submit(&self.client, rest, &self.progress), kill);
        killed?;
        submitted
    }

    /// Until the workers have completed everything, every job has ended in some way, or nothing happens any more: the
    /// reckoning says what is missing.
    async fn wait_until_done(&mut self, submitted: &Submitted) -> anyhow::Result<()> {
        let ids = submitted.ids();
        let (mut looks, mut questions) = (interval(LOOK_EVERY), interval(ASK_TABLES_EVERY));
        let (mut last, mut since) = (0, Instant::now());
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                _ = questions.tick() => if self.tables.ended(&ids).await? == ids.len() { return Ok(()) },
            }
            self.fleet.look()?;
            let completed = self.fleet.completed();
            self.progress.done(completed);
            self.progress.events(self.follower.seen());
            if completed >= ids.len() || since.elapsed() > STALLED_AFTER {
                return Ok(());
            }
            if completed != last {
                (last, since) = (completed, Instant::now());
            }
        }
    }
}
