//! What an earlier `up` left running: found by pid files, proved by the time the process started, stopped in order.

use std::{fs, path::Path, str::FromStr, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, interval};

use super::layout::Layout;

const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A pid alone may be another process's by now; with the tick it was started at, it is not.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct PidRecord {
    pid: i32,
    started_tick: u64,
    stop_signal: String,
}

impl PidRecord {
    pub(crate) fn of(pid: Pid, stop_signal: Signal) -> Self {
        let started_tick = started_tick(pid.as_raw()).unwrap_or_default();
        Self { pid: pid.as_raw(), started_tick, stop_signal: stop_signal.as_str().to_owned() }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    fn is_alive(&self) -> bool {
        self.started_tick != 0 && started_tick(self.pid) == Some(self.started_tick)
    }

    fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.pid), signal);
    }
}

/// Stops what is left of an earlier stack, in the order given, and says so. To be called under the layout's lock: only
/// then is whatever still runs an orphan.
pub(crate) async fn stop_all(layout: &Layout, names: &[&str]) -> anyhow::Result<()> {
    for name in names {
        let path = layout.pid_file(name);
        let Some(record) = PidRecord::read(&path) else { continue };
        if record.is_alive() {
            eprintln!("stopping {name} (pid {}), left over from an earlier run", record.pid);
            record.signal(Signal::from_str(&record.stop_signal).unwrap_or(Signal::SIGTERM));
            if !gone_within(&record, PATIENCE).await {
                record.signal(Signal::SIGKILL);
                anyhow::ensure!(gone_within(&record, PATIENCE).await, "{name} (pid {}) cannot be stopped", record.pid);
            }
        }
        let _ = fs::remove_file(&path);
    }
    Ok(())
}

async fn gone_within(record: &PidRecord, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    let mut ticks = interval(LOOK_EVERY);
    while record.is_alive() {
        if Instant::now() > deadline {
            return false;
        }
        ticks.tick().await;
    }
    true
}

/// Field 22 of /proc/<pid>/stat; `None` where there is no such process, or only what is left of one.
fn started_tick(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, which may itself hold blanks and parentheses.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    if state == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_pid_is_known_by_its_start() {
        let own = PidRecord::of(nix::unistd::getpid(), Signal::SIGTERM);
        assert!(own.is_alive());
        let other = PidRecord { started_tick: own.started_tick + 1, ..own };
        assert!(!other.is_alive());
    }
}
