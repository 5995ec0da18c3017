//! What a worker wrote down: one line of JSON for each thing that happened, written before the next one happens, so that
//! a killed worker's journal is whole up to its last moment.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use holdfast_client::{Answer, WorkerEvent, pb::LeaseRef};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Entry {
    Welcomed {
        session_id: String,
    },
    Leased {
        lease: Lease,
        attempt: i32,
    },
    /// The service acknowledged that the job is in this state now.
    Acknowledged {
        lease: Lease,
        state: String,
        replayed: bool,
    },
    Refused {
        lease: Lease,
        reason: String,
    },
    Revoked {
        lease: Lease,
        cause: String,
    },
    Disconnected {
        cause: String,
    },
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Lease {
    pub(super) job_id: String,
    pub(super) lease_id: String,
    pub(super) fencing_token: u64,
}

impl From<&LeaseRef> for Lease {
    fn from(lease: &LeaseRef) -> Self {
        Self { job_id: lease.job_id.clone(), lease_id: lease.lease_id.clone(), fencing_token: lease.fencing_token }
    }
}

impl Entry {
    /// None for what a journal does not say.
    fn of(event: &WorkerEvent<'_>) -> Option<Self> {
        Some(match event {
            WorkerEvent::Welcomed { session_id } => Self::Welcomed { session_id: (*session_id).to_owned() },
            WorkerEvent::Leased(job) => Self::Leased { lease: Lease::from(job.lease()), attempt: job.attempt },
            WorkerEvent::Answered { lease, outcome: Ok(answer) } => {
                let (state, replayed) = match answer {
                    Answer::Done { replayed } => ("done", *replayed),
                    Answer::Retrying { replayed, .. } => ("retrying", *replayed),
                    Answer::Failed { replayed } => ("failed", *replayed),
                    Answer::Released => ("released", false),
                };
                Self::Acknowledged { lease: Lease::from(*lease), state: state.to_owned(), replayed }
            }
            WorkerEvent::Answered { lease, outcome: Err(error) } => {
                Self::Refused { lease: Lease::from(*lease), reason: error.name() }
            }
            WorkerEvent::Revoked { lease, cause } => {
                Self::Revoked { lease: Lease::from(*lease), cause: (*cause).to_owned() }
            }
            WorkerEvent::Disconnected { cause, .. } => Self::Disconnected { cause: (*cause).to_owned() },
            _ => return None,
        })
    }
}

pub(crate) struct JournalWriter {
    file: File,
}

impl JournalWriter {
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let file =
            OpenOptions::new().create(true).append(true).open(path).with_context(|| path.display().to_string())?;
        Ok(Self { file })
    }

    pub(crate) fn observe(&self, event: &WorkerEvent<'_>) {
        if let Some(entry) = Entry::of(event) {
            self.write(&entry);
        }
    }

    fn write(&self, entry: &Entry) {
        let mut line = serde_json::to_vec(entry).expect("an entry is plain JSON");
        line.push(b'\n');
        // Unbuffered, and a line in one write: what the kernel has outlives the process.
        (&self.file).write_all(&line).expect("a worker that cannot write its journal is of no use to the tour");
    }
}

/// Reads a journal while it is being written.
#[derive(Debug)]
pub(super) struct JournalTail {
    path: PathBuf,
    offset: u64,
    pub(super) entries: Vec<Entry>,
}

impl JournalTail {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, offset: 0, entries: Vec::new() }
    }

    /// Takes up the lines that are whole by now, and answers the new ones.
    pub(super) fn look(&mut self) -> anyhow::Result<&[Entry]> {
        let known = self.entries.len();
        // The worker makes the file when it starts.
        let Ok(mut file) = File::open(&self.path) else { return Ok(&[]) };
        file.seek(SeekFrom::Start(self.offset))?;
        let mut fresh = Vec::new();
        file.read_to_end(&mut fresh)?;
        let whole = fresh.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        for line in fresh[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.entries.push(serde_json::from_slice(line).with_context(|| self.path.display().to_string())?);
        }
        self.offset += whole as u64;
        Ok(&self.entries[known..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_once_and_only_when_it_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let mut tail = JournalTail::new(path.clone());
        tail.look().unwrap();
        let entry = Entry::Welcomed { session_id: "s".into() };
        JournalWriter::create(&path).unwrap().write(&entry);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"event\":").unwrap();
        assert_eq!(tail.look().unwrap(), [entry]);
        assert_eq!(tail.look().unwrap(), []);
    }
}
