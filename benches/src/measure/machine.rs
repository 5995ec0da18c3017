//! The machine.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_gib: f64,
    pub kernel: String,
    /// Of the file system that holds PostgreSQL's and Redis's data.
    pub data_filesystem: String,
    pub build: String,
}

impl Machine {
    pub fn look() -> Result<Self> {
        let cpus = fs::read_to_string("/proc/cpuinfo")?;
        let cpu = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
        let memory = fs::read_to_string("/proc/meminfo")?;
        let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).context("no MemTotal")?;
        let kib: f64 = total.trim().trim_end_matches("kB").trim().parse()?;
        Ok(Self {
            cpu: cpu.trim_start_matches([' ', '\t', ':']).to_owned(),
            cores: std::thread::available_parallelism()?.get(),
            memory_gib: kib / 1024.0 / 1024.0,
            // The version alone: what comes after a dash names who built it.
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .split('-')
                .next()
                .unwrap_or_default()
                .to_owned(),
            data_filesystem: filesystem(&std::env::temp_dir())?,
            build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
        })
    }
}

fn filesystem(path: &Path) -> Result<String> {
    let output = Command::new("df").arg("--output=fstype").arg(path).output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().nth(1).context("df says nothing")?.trim().to_owned())
}
