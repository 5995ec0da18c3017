//! Child processes: started so that they cannot outlive us, watched, and stopped in good order.
//!
//! A child is not started directly but through `holdfast run-child`, which asks the kernel to be signalled when its
//! parent dies, changes to the account it was told and then becomes the program. The usual ways to do this between fork
//! and exec need unsafe code; a process of one's own does not.

use std::{
    ffi::{CString, OsString},
    fs::{self, OpenOptions},
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    str::FromStr,
    time::Duration,
};

use anyhow::{Context, bail};
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::{Pid, User, getpid, getppid, initgroups, setgid, setuid},
};
use tokio::{process::Command, sync::watch, time::timeout};

use super::{
    account::Account,
    layout::{Layout, write_private},
    orphans::PidRecord,
};

const LOG_LINES_SHOWN: usize = 15;

/// What to run, and how to stop it.
#[derive(Debug)]
pub(crate) struct ChildSpec {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(String, OsString)>,
    /// Variables of ours that are not the child's.
    pub(crate) without_env: &'static [&'static str],
    pub(crate) account: Option<Account>,
    /// Asks the program to end in good order; also what the kernel sends it when this process dies.
    pub(crate) stop_signal: Signal,
    /// How long a good end may take before it is forced.
    pub(crate) stop_patience: Duration,
}

/// A running child and the end of it.
#[derive(Debug)]
pub(crate) struct Supervised {
    name: String,
    pid: Pid,
    stop_signal: Signal,
    stop_patience: Duration,
    log: PathBuf,
    pid_file: PathBuf,
    exited: watch::Receiver<Option<ExitStatus>>,
}

impl Supervised {
    /// Starts the child with its output appended to its log.
    pub(crate) fn start(layout: &Layout, spec: ChildSpec) -> anyhow::Result<Self> {
        let (log, pid_file) = (layout.log(&spec.name), layout.pid_file(&spec.name));
        Self::start_at(spec, log, pid_file)
    }

    pub(crate) fn start_at(spec: ChildSpec, log: PathBuf, pid_file: PathBuf) -> anyhow::Result<Self> {
        let output =
            OpenOptions::new().create(true).append(true).open(&log).with_context(|| log.display().to_string())?;
        let account = spec.account.as_ref().and_then(Account::name);
        let mut command = command(spec.stop_signal.as_str(), account, &spec.program)?;
        command.args(&spec.args).envs(spec.env).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        for variable in spec.without_env {
            command.env_remove(variable);
        }
        let mut child = command.spawn().with_context(|| format!("starting {}", spec.name))?;
        let pid = Pid::from_raw(i32::try_from(child.id().context("the child has no pid")?)?);
        write_private(&pid_file, &PidRecord::of(pid, spec.stop_signal).to_bytes())?;

        let (ended, exited) = watch::channel(None);
        tokio::spawn(async move {
            // An error here means that the child cannot be waited for: as good as gone.
            let status = child.wait().await.unwrap_or_default();
            ended.send_replace(Some(status));
        });
        let (stop_signal, stop_patience) = (spec.stop_signal, spec.stop_patience);
        Ok(Self { name: spec.name, pid, stop_signal, stop_patience, log, pid_file, exited })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn has_exited(&self) -> bool {
        self.exited.borrow().is_some()
    }

    /// Waits for the end of the child.
    pub(crate) async fn exited(&self) -> ExitStatus {
        let mut exited = self.exited.clone();
        let status = exited.wait_for(Option::is_some).await.map(|status| *status);
        status.ok().flatten().unwrap_or_default()
    }

    /// Waits for `ready`, unless the child ends or `patience` runs out first.
    pub(crate) async fn until(&self, patience: Duration, ready: impl Future<Output = ()>) -> anyhow::Result<()> {
        tokio::select! {
            () = ready => Ok(()),
            status = self.exited() => bail!(self.obituary(status)),
            () = tokio::time::sleep(patience) => {
                bail!("{} is not ready after {} s\n{}", self.name, patience.as_secs(), self.last_words())
            }
        }
    }

    pub(crate) fn kill(&self, signal: Signal) -> anyhow::Result<()> {
        // The child is reaped only by our own waiting task: until that has seen its end, the pid cannot be another's.
        if self.has_exited() {
            return Ok(());
        }
        match kill(self.pid, signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(errno).with_context(|| format!("sending {signal} to {}", self.name)),
        }
    }

    /// Asks the child to end, waits, and insists where it does not. Answers how it ended.
    pub(crate) async fn stop(self) -> anyhow::Result<ExitStatus> {
        self.kill(self.stop_signal)?;
        if timeout(self.stop_patience, self.exited()).await.is_err() {
            eprintln!("{} did not stop within {} s and is killed", self.name, self.stop_patience.as_secs());
            self.kill(Signal::SIGKILL)?;
        }
        let status = self.exited().await;
        let _ = fs::remove_file(&self.pid_file);
        Ok(status)
    }

    /// How it ended, and the last lines of its log.
    pub(crate) fn obituary(&self, status: ExitStatus) -> String {
        format!("{} ended by itself ({status})\n{}", self.name, self.last_words())
    }

    fn last_words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
        format!("  from {}:\n  | {}", self.log.display(), shown.join("\n  | "))
    }
}

/// A command that will run as `user`, in a process group of its own, and be sent `death_signal` when we die.
pub(crate) fn command(death_signal: &str, user: Option<&str>, program: &Path) -> anyhow::Result<Command> {
    let this = std::env::current_exe().context("finding this executable")?;
    let mut command = Command::new(this);
    command.args(["run-child", "--parent", &getpid().to_string(), "--death-signal", death_signal]);
    if let Some(user) = user {
        command.args(["--user", user]);
    }
    command.arg("--").arg(program).process_group(0);
    Ok(command)
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunChildArgs {
    #[arg(long)]
    parent: i32,
    #[arg(long)]
    death_signal: String,
    #[arg(long)]
    user: Option<String>,
    #[arg(last = true, required = true)]
    program: Vec<OsString>,
}

/// Becomes the program; returns only where it cannot.
pub(crate) fn run_child(args: RunChildArgs) -> anyhow::Result<()> {
    let death_signal = death_signal(&args.death_signal)?;
    if let Some(name) = &args.user {
        become_user(name)?;
    }
    // After the change of account, which clears it.
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_pdeathsig(death_signal).context("asking to be told of the parent's death")?;
    // The parent may have died before the kernel was asked.
    if getppid() != Pid::from_raw(args.parent) {
        bail!("the parent is gone already");
    }
    let (program, arguments) = args.program.split_first().context("no program")?;
    let error = std::process::Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("running {}", program.display()))
}

fn death_signal(name: &str) -> anyhow::Result<Signal> {
    let name = if name.starts_with("SIG") { name.to_owned() } else { format!("SIG{name}") };
    Signal::from_str(&name).with_context(|| format!("no signal {name}"))
}

fn become_user(name: &str) -> anyhow::Result<()> {
    let user =
        User::from_name(name)?.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no account {name}")))?;
    initgroups(&CString::new(user.name.as_str())?, user.gid).context("leaving the groups of root")?;
    setgid(user.gid).context("changing the group")?;
    setuid(user.uid).context("changing the account")?;
    // The directory we stand in may be closed to the account.
    std::env::set_current_dir("/").context("changing to /")
}
