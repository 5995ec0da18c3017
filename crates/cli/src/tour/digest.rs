//! What a job of the tour is: the digest of one file; by the worker, and, in another way, by the reckoning.

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use holdfast_client::{Handler, Job, JobError, ModelUsage, Payload, json};
use serde::{Deserialize, Serialize};
use tokio::{fs::File, io::AsyncReadExt};

const UNREADABLE: &str = "unreadable";

/// The payload of a job.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Task {
    pub(super) path: String,
    /// The worker reports what it has used.
    pub(super) is_metered: bool,
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

    /// What stands for a model on the tour takes a token to read a line, and no money.
    pub(super) fn usage(&self) -> ModelUsage {
        let input_tokens = self.lines.try_into().unwrap_or(u32::MAX);
        ModelUsage { input_tokens, ..ModelUsage::of("tour", "line-reader") }
    }
}

/// Does the tour's jobs.
pub(crate) struct DigestHandler {
    root: PathBuf,
    /// Never answers.
    hold: bool,
}

impl DigestHandler {
    pub(crate) fn new(root: PathBuf, hold: bool) -> Self {
        Self { root, hold }
    }

    async fn digest(&self, path: String) -> Result<Digest, JobError> {
        // Whoever may submit here does not choose what this process reads.
        if !Path::new(&path).components().all(|component| matches!(component, Component::Normal(_))) {
            return Err(JobError::permanent(UNREADABLE, "the path leaves the repository"));
        }
        let digest = streamed(&self.root, path).await;
        digest.map_err(|error| JobError::permanent(UNREADABLE, error))
    }
}

impl Handler for DigestHandler {
    async fn handle(&self, job: Job) -> Result<Payload, JobError> {
        let task: Task = job.payload_json()?;
        let digest = self.digest(task.path).await;
        if self.hold {
            std::future::pending::<()>().await;
        }
        let digest = digest?;
        if task.is_metered {
            job.record_usage("digest", digest.usage()).await?;
        }
        Ok(json(&digest)?)
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
