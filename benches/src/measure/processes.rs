//! Memory and CPU time of every process, from /proc.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::stack::Stack;

/// The processes of one program, counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Program {
    Jobs,
    Locks,
    Relay,
    Postgres,
    Redis,
    Client,
}

impl Program {
    pub fn name(self) -> &'static str {
        match self {
            Self::Jobs => "holdfast-jobs",
            Self::Locks => "holdfast-locks",
            Self::Relay => "holdfast-relay",
            Self::Postgres => "PostgreSQL (all processes, shared memory counted once)",
            Self::Redis => "Redis",
            Self::Client => "the load generator",
        }
    }
}

/// One moment.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    pub rss_kib: u64,
    /// User and system time, children that have ended included.
    pub cpu_ticks: u64,
}

pub type Snapshot = BTreeMap<Program, Usage>;

/// Of the stack's processes and ourselves.
pub fn snapshot(stack: &Stack) -> Result<Snapshot> {
    let (jobs, relay) = stack.pids();
    snapshot_of([(Program::Jobs, jobs), (Program::Relay, relay)])
}

/// Of these services, of the servers that we have started, and ourselves.
pub fn snapshot_of<const N: usize>(services: [(Program, Option<u32>); N]) -> Result<Snapshot> {
    let own = std::process::id();
    let all = table()?;
    let mut found = BTreeMap::new();
    let mut add = |program, pids: Vec<u32>| -> Result<()> {
        let mut sum = Usage { rss_kib: 0, cpu_ticks: 0 };
        // Resident memory of each process of a group would count what they share once for each.
        let memory = if pids.len() > 1 { proportional_kib } else { rss_kib };
        for pid in pids {
            // A backend may end between the list and the look.
            let Some(row) = all.get(&pid) else { continue };
            sum.rss_kib += memory(pid).unwrap_or(0);
            sum.cpu_ticks += row.cpu_ticks;
        }
        found.insert(program, sum);
        Ok(())
    };
    add(Program::Client, vec![own])?;
    for (program, pid) in services {
        add(program, pid.into_iter().collect())?;
    }
    add(Program::Redis, children(&all, own, "redis-server"))?;
    let postmasters = children(&all, own, "postgres");
    let backends = postmasters.iter().flat_map(|pid| children(&all, *pid, "postgres")).collect::<Vec<_>>();
    add(Program::Postgres, [postmasters, backends].concat())?;
    Ok(found)
}

struct Row {
    parent: u32,
    name: String,
    cpu_ticks: u64,
}

fn table() -> Result<BTreeMap<u32, Row>> {
    let mut rows = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat"))
            && let Some(row) = parse_stat(&stat, pid == std::process::id())
        {
            rows.insert(pid, row);
        }
    }
    Ok(rows)
}

/// Our own ended children are not ours to count: they have rows of their own while they live, and no more once ended.
fn parse_stat(stat: &str, without_children: bool) -> Option<Row> {
    // The name stands in parentheses and may hold spaces and parentheses itself.
    let (head, tail) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    let own = number(11)? + number(12)?;
    let ended = number(13)? + number(14)?;
    Some(Row { parent: number(1)? as u32, name, cpu_ticks: if without_children { own } else { own + ended } })
}

fn children(all: &BTreeMap<u32, Row>, parent: u32, name: &str) -> Vec<u32> {
    all.iter().filter(|(_, row)| row.parent == parent && row.name == name).map(|(pid, _)| *pid).collect()
}

fn rss_kib(pid: u32) -> Result<u64> {
    kib(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// Its own memory, and its part of what it shares.
fn proportional_kib(pid: u32) -> Result<u64> {
    kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

fn kib(path: &str, label: &str) -> Result<u64> {
    let text = fs::read_to_string(path)?;
    let line =
        text.lines().find_map(|line| line.strip_prefix(label)).with_context(|| format!("{path} has no {label}"))?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

/// What a program used over a window.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProgramUse {
    pub program: Program,
    pub rss_idle_mib: f64,
    pub rss_loaded_mib: f64,
    /// 1.0 is one core kept busy.
    pub cores: f64,
}

/// `idle` before any load; the window lies between `opened` and `closed`.
pub fn usage(idle: &Snapshot, opened: &Snapshot, closed: &Snapshot, window_s: f64) -> Result<Vec<ProgramUse>> {
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?.context("no clock tick")? as f64;
    let mib = |snapshot: &Snapshot, program| {
        snapshot.get(&program).map_or(0.0, |usage: &Usage| usage.rss_kib as f64 / 1024.0)
    };
    let ticks = |snapshot: &Snapshot, program| snapshot.get(&program).map_or(0, |usage: &Usage| usage.cpu_ticks);
    let row = |program: &Program| ProgramUse {
        program: *program,
        rss_idle_mib: mib(idle, *program),
        rss_loaded_mib: mib(closed, *program),
        cores: ticks(closed, *program).saturating_sub(ticks(opened, *program)) as f64 / per_second / window_s,
    };
    Ok(closed.keys().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_is_read() {
        let row = parse_stat("42 (a (b) c) S 7 1 1 0 -1 0 0 0 0 0 10 20 3 4 20 0 1", false).unwrap();
        assert_eq!((row.name.as_str(), row.parent, row.cpu_ticks), ("a (b) c", 7, 37));
    }

    #[test]
    fn we_find_ourselves() {
        assert!(rss_kib(std::process::id()).unwrap() > 0);
        assert!(proportional_kib(std::process::id()).unwrap() > 0);
        assert!(table().unwrap().contains_key(&std::process::id()));
    }
}
