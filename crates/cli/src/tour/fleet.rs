//! The worker processes of the tour, among them the one that is killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use tokio::time::{Instant, interval};

use super::{
    LOOK_EVERY, TourOptions,
    journal::{Entry, JournalTail},
};
use crate::dev::{ChildSpec, Supervised};

pub(super) const VICTIM: &str = "tour-worker-victim";
/// More than the ten that it must hold at its end.
pub(super) const VICTIM_CAPACITY: u16 = 12;
const WORKERS: [&str; 3] = ["tour-worker-1", "tour-worker-2", "tour-worker-3"];
const CAPACITY: u16 = 16;
const WELCOME_PATIENCE: Duration = Duration::from_secs(20);
const STOP_PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Fleet<'a> {
    options: &'a TourOptions,
    directory: PathBuf,
    repository: PathBuf,
    running: BTreeMap<&'static str, Supervised>,
    journals: BTreeMap<&'static str, JournalTail>,
    /// Jobs whose completion was acknowledged to some worker.
    done: BTreeSet<String>,
}

impl<'a> Fleet<'a> {
    pub(super) fn new(options: &'a TourOptions, directory: PathBuf, repository: &Path) -> Self {
        let (running, journals) = (BTreeMap::new(), BTreeMap::new());
        Self { options, directory, repository: repository.to_owned(), running, journals, done: BTreeSet::new() }
    }

    pub(super) async fn start_victim(&mut self) -> anyhow::Result<()> {
        self.start(VICTIM, VICTIM_CAPACITY, true)?;
        self.wait_until_welcome().await
    }

    pub(super) async fn start_workers(&mut self) -> anyhow::Result<()> {
        for name in WORKERS {
            self.start(name, CAPACITY, false)?;
        }
        self.wait_until_welcome().await
    }

    fn start(&mut self, name: &'static str, capacity: u16, hold: bool) -> anyhow::Result<()> {
        let file = |kind: &str| self.directory.join(format!("{name}.{kind}"));
        let journal = file("jsonl");
        let mut args = vec!["tour-worker".into(), "--worker-id".into(), name.into()];
        args.extend(["--capacity".into(), capacity.to_string().into()]);
        args.extend(["--repository".into(), self.repository.clone().into_os_string()]);
        args.extend(["--journal".into(), journal.clone().into_os_string()]);
        args.extend(["--dir".into(), self.options.layout.root().as_os_str().to_owned()]);
        args.extend(["--endpoint".into(), self.options.stack.endpoint.clone().into()]);
        args.extend(hold.then(|| "--hold".into()));
        let spec = ChildSpec {
            name: name.to_owned(),
            program: std::env::current_exe().context("finding this executable")?,
            args,
            env: Vec::new(),
            // Its token is its own, whatever the user has set for themselves.
            without_env: &["HOLDFAST_TOKEN", "HOLDFAST_TOKEN_FILE"],
            account: None,
            stop_signal: Signal::SIGTERM,
            stop_patience: STOP_PATIENCE,
        };
        let child = Supervised::start_at(spec, file("log"), file("pid"))?;
        self.running.insert(name, child);
        self.journals.insert(name, JournalTail::new(journal));
        Ok(())
    }

    async fn wait_until_welcome(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + WELCOME_PATIENCE;
        let mut ticks = interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            self.look()?;
            let is_welcome =
                |tail: &JournalTail| tail.entries.iter().any(|entry| matches!(entry, Entry::Welcomed { .. }));
            let Some((name, _)) = self.journals.iter().find(|(_, tail)| !is_welcome(tail)) else { return Ok(()) };
            if Instant::now() > deadline {
                bail!("{name} has no session yet; its log is in {}", self.directory.display());
            }
        }
    }

    /// Reads on in the journals, and fails where a worker is gone that should not be.
    pub(super) fn look(&mut self) -> anyhow::Result<()> {
        for tail in self.journals.values_mut() {
            for entry in tail.look()? {
                if let Entry::Acknowledged { lease, state, .. } = entry
                    && state == "done"
                {
                    self.done.insert(lease.job_id.clone());
                }
            }
        }
        match self.running.values().find(|child| child.has_exited()) {
            Some(child) => bail!("{} ended by itself; its log is in {}", child.name(), self.directory.display()),
            None => Ok(()),
        }
    }

    pub(super) fn completed(&self) -> usize {
        self.done.len()
    }

    pub(super) fn held_by_victim(&self) -> usize {
        let entries = self.journals.get(VICTIM).map_or(&[][..], |tail| &tail.entries);
        let leased = entries.iter().filter(|entry| matches!(entry, Entry::Leased { .. })).count();
        leased - entries.iter().filter(|entry| matches!(entry, Entry::Revoked { .. })).count()
    }

    /// Without a chance to say goodbye.
    pub(super) async fn kill_victim(&mut self) -> anyhow::Result<()> {
        let victim = self.running.remove(VICTIM).context("the worker to be killed is gone already")?;
        victim.kill(Signal::SIGKILL)?;
        victim.exited().await;
        self.look()
    }

    /// Lets the rest finish. Answers who did not end as a worker should.
    pub(super) async fn stop(&mut self) -> anyhow::Result<Vec<String>> {
        let mut badly = Vec::new();
        while let Some((name, child)) = self.running.pop_first() {
            let status = child.stop().await?;
            if !status.success() {
                badly.push(format!("{name} was told to stop and ended with {status}"));
            }
        }
        self.look()?;
        Ok(badly)
    }

    pub(super) fn journals(&self) -> impl Iterator<Item = (&'static str, &[Entry])> {
        self.journals.iter().map(|(name, tail)| (*name, tail.entries.as_slice()))
    }
}

/// A tour that is given up leaves no workers behind.
impl Drop for Fleet<'_> {
    fn drop(&mut self) {
        for child in self.running.values() {
            let _ = child.kill(Signal::SIGKILL);
        }
    }
}
