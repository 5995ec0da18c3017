//! `holdfast locks run`: a command that runs while a lock is held, and no longer.

use std::{
    io::IsTerminal,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::Context;
use holdfast_client::{Client, LockGuard};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    process::Child,
    signal::unix::{SignalKind, signal},
    time::timeout,
};

use super::{Named, owner_of_its_own};
use crate::{
    dev::child_command,
    exit::{Exit, LockLost},
};

/// As shells say that a command was ended by a signal.
const EXIT_SIGNALLED: i32 = 128;

/// Hold a lock for as long as a command runs.
///
/// Waits for the lock, runs the command with HOLDFAST_FENCING_TOKEN and HOLDFAST_LEASE_ID in its environment, renews the lease
/// while it runs, and releases it at its end. Ends as the command did: with its code, or 128 and the number of the signal that
/// ended it. Where the lease is lost, the command is sent SIGTERM, and SIGKILL after --grace, with everything in its process
/// group, and the end is 5. SIGTERM, SIGINT and SIGHUP are passed on to it. It has no terminal to read from.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    named: Named,
    /// Who will hold it: a label under which locks are taken in one order [default: a new one].
    #[arg(long)]
    owner: Option<String>,
    /// How long to wait for it, in seconds.
    #[arg(long, default_value_t = 3600, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=3600))]
    wait: u64,
    /// How long it holds without a heartbeat, in seconds [default: the service's].
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u64>,
    /// How long the command may take to end once the lease is lost, in seconds.
    #[arg(long, default_value_t = 3, value_name = "SECONDS")]
    grace: u64,
    /// The command and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

impl RunArgs {
    pub(crate) async fn run(self, client: &Client) -> anyhow::Result<Exit> {
        let locks = client.locks();
        let owner = self.owner.clone().unwrap_or_else(owner_of_its_own);
        let mut acquire = locks.acquire(self.named.resource()).tenant(&self.named.place.tenant).owner(owner);
        acquire = acquire.wait(Duration::from_secs(self.wait));
        if let Some(ttl) = self.ttl {
            acquire = acquire.ttl(Duration::from_secs(ttl));
        }
        let guard = acquire.await?;
        let ended = match self.start(&guard) {
            Ok(child) => self.attend(&guard, &mut Group(child)).await,
            Err(error) => Err(error),
        };
        // The lease is over with the work, whatever became of it.
        let released = guard.release().await;
        let status = ended?;
        if let Err(error) = released {
            eprintln!("note: the command has ended; the lock was not released: {error}");
        }
        let code = status.code().or(status.signal().map(|signal| EXIT_SIGNALLED + signal)).unwrap_or(EXIT_SIGNALLED);
        Ok(Exit::Command(u8::try_from(code).unwrap_or(u8::MAX)))
    }

    /// In a process group of its own, and told by the kernel where this process is killed.
    fn start(&self, guard: &LockGuard) -> anyhow::Result<Child> {
        let (program, arguments) = self.command.split_first().context("no command")?;
        let mut command = child_command(Signal::SIGTERM.as_str(), None, Path::new(program))?;
        command.args(arguments).kill_on_drop(true);
        command.env("HOLDFAST_FENCING_TOKEN", guard.token().to_string());
        command.env("HOLDFAST_LEASE_ID", &guard.lease().lease_id);
        if std::io::stdin().is_terminal() {
            // To read from a terminal would stop it: the terminal is another group's.
            command.stdin(Stdio::null());
        }
        command.spawn().with_context(|| format!("starting {program}"))
    }

    /// Until the command has ended, by itself or because its lock is lost.
    async fn attend(&self, guard: &LockGuard, group: &mut Group) -> anyhow::Result<ExitStatus> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut hangup = signal(SignalKind::hangup())?;
        let (mut lost, mut at_risk) = (Box::pin(guard.lost()), Box::pin(guard.at_risk()));
        let mut is_warned = false;
        loop {
            tokio::select! {
                // A command that has ended has ended, whatever else has happened by now.
                biased;
                status = group.0.wait() => return Ok(status?),
                loss = &mut lost => {
                    group.end(Duration::from_secs(self.grace)).await?;
                    return Err(LockLost(loss).into());
                }
                () = &mut at_risk, if !is_warned => {
                    is_warned = true;
                    eprintln!("the lock is at risk: {:.1} s are left", guard.time_left().as_secs_f64());
                }
                _ = terminate.recv() => group.signal(Signal::SIGTERM),
                _ = interrupt.recv() => group.signal(Signal::SIGINT),
                _ = hangup.recv() => group.signal(Signal::SIGHUP),
            }
        }
    }
}

/// The command and everything it starts that stays in its process group.
struct Group(Child);

impl Group {
    /// None once it has ended.
    fn pid(&self) -> Option<Pid> {
        self.0.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw)
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            // Gone already is as good.
            let _ = killpg(pid, signal);
        }
    }

    /// Asks it to end, and insists where it does not, or where what it has started does not.
    async fn end(&mut self, grace: Duration) -> anyhow::Result<()> {
        let Some(pid) = self.pid() else { return Ok(()) };
        self.signal(Signal::SIGTERM);
        let _ = timeout(grace, self.0.wait()).await;
        // A group keeps its number while anybody is in it, and numbers are not given again so soon.
        let _ = killpg(pid, Signal::SIGKILL);
        self.0.wait().await?;
        Ok(())
    }
}

/// Dropped halfway, it takes down what the command has started too.
impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}
