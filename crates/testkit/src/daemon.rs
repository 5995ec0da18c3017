//! A child process that the test kills, pauses and starts again.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{eventually, janitor};

/// One program with one log file. Dropped, it is ended.
pub(crate) struct Daemon {
    name: String,
    log: PathBuf,
    /// The signal that ends it when nobody needs it any more.
    last_word: Signal,
    child: Mutex<Option<Child>>,
}

impl Daemon {
    pub(crate) fn new(name: impl Into<String>, log: PathBuf, last_word: Signal) -> Self {
        Self { name: name.into(), log, last_word, child: Mutex::new(None) }
    }

    /// Output is appended to the log.
    pub(crate) fn start(&self, command: &mut Command) -> Result<()> {
        let mut running = self.child();
        if running.is_some() {
            bail!("{} is running already", self.name);
        }
        let log = self.open_log()?;
        let child = command
            .stdin(Stdio::null())
            .stderr(log.try_clone()?)
            .stdout(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.name))?;
        janitor::started(child.id(), self.last_word)?;
        *running = Some(child);
        Ok(())
    }

    fn open_log(&self) -> Result<File> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        log.with_context(|| format!("cannot write {}", self.log.display()))
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    pub(crate) fn log_path(&self) -> &Path {
        &self.log
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read(&self.log).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    /// The end of the log, for a message about a failure.
    pub(crate) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        format!("the end of {}:\n{}", self.log.display(), lines[lines.len().saturating_sub(30)..].join("\n"))
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        // Under the lock the child has not been waited for, so the number is still its own.
        let child = self.child();
        let child = child.as_ref().with_context(|| format!("{} is not running", self.name))?;
        kill(Pid::from_raw(child.id().try_into()?), signal).with_context(|| format!("{signal} to {}", self.name))
    }

    /// The exit status, once it has ended; then it can be started again.
    pub(crate) fn try_wait(&self) -> Result<Option<ExitStatus>> {
        let mut running = self.child();
        let child = running.as_mut().with_context(|| format!("{} is not running", self.name))?;
        let status = child.try_wait()?;
        if status.is_some() {
            janitor::gone(child.id())?;
            *running = None;
        }
        Ok(status)
    }

    pub(crate) async fn wait(&self, within: Duration) -> Result<ExitStatus> {
        let ended = eventually(|| async { self.try_wait().transpose() }, within).await;
        ended.with_context(|| format!("{} did not end; {}", self.name, self.log_tail()))?
    }

    pub(crate) async fn end(&self, signal: Signal, within: Duration) -> Result<ExitStatus> {
        self.signal(signal)?;
        self.wait(within).await
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child().take() {
            if let Ok(pid) = child.id().try_into().map(Pid::from_raw) {
                // Already dead is as good. A paused process hears its last word only when it goes on.
                let _ = kill(pid, self.last_word);
                let _ = kill(pid, Signal::SIGCONT);
            }
            // Where telling the janitor fails there is nobody left to mislead.
            let _ = child.wait();
            let _ = janitor::gone(child.id());
        }
    }
}
