//! What a job of the tour is: the digest of one file; by the worker, and, in another way, by the reckoning.

use std::{
    io,
    path::{Component, Path, PathBuf},
    sync::Mutex,
};

use async_trait::async_trait;
use holdfast_proto::jobs::v1::{LeasedJob, Payload};
use serde::{Deserialize, Serialize};
use tokio::{fs::File, io::AsyncReadExt};

use super::journal::{Entry, JournalWriter};
use crate::work::{Handler, Observation, Outcome};

/// The payload of a job.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Task {
    pub(super) path: String,
}

/// The result of a job.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Digest {
    pub(super) path: String,
    pub(super) blake3: String,
    pub(super) bytes: u64,
    pub(super) lines: u64,
}

impl Digest {
    /// The file as a whole, without the worker's code.
    pub(super) fn directly(root: &Path, path: &str) -> io::Result<Self> {
        let content = std::fs::read(root.join(path))?;
        Ok(Self {
            path: path.to_owned(),
            blake3: blake3::hash(&content).to_hex().to_string(),
            bytes: content.len() as u64,
            lines: content.split(|byte| *byte == b'\n').count() as u64 - 1,
        })
    }
}

/// Does the tour's jobs and writes down what it did.
pub(crate) struct DigestHandler {
    root: PathBuf,
    journal: Mutex<JournalWriter>,
    hold: bool,
}

impl DigestHandler {
    pub(crate) fn new(root: PathBuf, journal: JournalWriter, hold: bool) -> Self {
        Self { root, journal: Mutex::new(journal), hold }
    }

    async fn digest(&self, job: &LeasedJob) -> Result<Payload, String> {
        let payload = job.payload.clone().unwrap_or_default();
        let task: Task = serde_json::from_slice(&payload.data).map_err(|error| format!("the payload: {error}"))?;
        // Whoever may submit here does not choose what this process reads.
        if !Path::new(&task.path).components().all(|component| matches!(component, Component::Normal(_))) {
            return Err("the path leaves the repository".to_owned());
        }
        let digest = streamed(&self.root, task.path).await.map_err(|error| error.to_string())?;
        let data = serde_json::to_vec(&digest).map_err(|error| error.to_string())?;
        Ok(Payload { data: data.into(), content_type: "application/json".to_owned() })
    }
}

/// In pieces: a worker does not know how large a file is.
async fn streamed(root: &Path, path: String) -> io::Result<Digest> {
    let mut file = File::open(root.join(&path)).await?;
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; 64 * 1024];
    let (mut bytes, mut lines) = (0, 0);
    loop {
        let length = file.read(&mut piece).await?;
        if length == 0 {
            return Ok(Digest { path, blake3: hasher.finalize().to_hex().to_string(), bytes, lines });
        }
        hasher.update(&piece[..length]);
        bytes += length as u64;
        lines += piece[..length].iter().filter(|byte| **byte == b'\n').count() as u64;
    }
}

#[async_trait]
impl Handler for DigestHandler {
    async fn perform(&self, job: &LeasedJob) -> Outcome {
        let result = self.digest(job).await;
        if self.hold {
            std::future::pending::<()>().await;
        }
        match result {
            Ok(result) => Outcome::Done(result),
            Err(message) => Outcome::failed(false, "unreadable", &message),
        }
    }

    fn observe(&self, observation: Observation<'_>) {
        let mut journal = self.journal.lock().expect("no writer of the journal has panicked");
        journal.write(&Entry::of(&observation));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_ways_to_a_digest_agree() {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in [("empty", String::new()), ("open", "a\nb".into()), ("large", "line\n".repeat(100_000))]
        {
            std::fs::write(directory.path().join(name), content).unwrap();
            let streamed = streamed(directory.path(), name.to_owned()).await.unwrap();
            assert_eq!(streamed, Digest::directly(directory.path(), name).unwrap());
        }
    }
}
