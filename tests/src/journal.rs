//! What a worker was given and told, written down as it happens.
//!
//! One file for each life of a worker. A record is one write: what a process has written survives its SIGKILL, so what
//! the journal says was heard, and only the last record of a life can be torn.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::Path,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use holdfast_proto::jobs::v1::LeaseRef;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeaseKey {
    pub job_id: String,
    pub lease_id: String,
    pub fence: u64,
}

impl From<LeaseRef> for LeaseKey {
    fn from(lease: LeaseRef) -> Self {
        Self { job_id: lease.job_id, lease_id: lease.lease_id, fence: lease.fencing_token }
    }
}

impl From<&LeaseKey> for LeaseRef {
    fn from(lease: &LeaseKey) -> Self {
        Self { job_id: lease.job_id.clone(), lease_id: lease.lease_id.clone(), fencing_token: lease.fence }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    Complete,
    FailRetryable,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    Leased { lease: LeaseKey, attempt: i32 },
    Answering { lease: LeaseKey, verdict: Verdict },
    Acknowledged { lease: LeaseKey, verdict: Verdict, replayed: bool },
    Refused { lease: LeaseKey, verdict: Verdict, reason: String },
    Revoked { lease: LeaseKey },
}

pub struct Journal {
    file: Mutex<File>,
}

impl Journal {
    /// Opens the journal of this life of `worker_id`.
    pub fn open(directory: &Path, worker_id: &str) -> Result<Self> {
        let path = directory.join(format!("{worker_id}.{}.jsonl", std::process::id()));
        let file = OpenOptions::new().create(true).append(true).open(&path);
        Ok(Self { file: Mutex::new(file.with_context(|| format!("cannot write {}", path.display()))?) })
    }

    pub fn write(&self, record: &Record) -> Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(file.write_all(&line)?)
    }
}

/// The records of every life of every worker.
pub fn read_all(directory: &Path) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path)?;
        // What has no end of line was being written when the process was killed.
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            records.push(serde_json::from_str(line).with_context(|| format!("{}: {line:?}", path.display()))?);
        }
    }
    Ok(records)
}
