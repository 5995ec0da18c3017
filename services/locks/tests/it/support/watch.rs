//! A watch, from the caller's side.

use std::time::Duration;

use holdfast_proto::locks::v1 as pb;
use tonic::{Status, Streaming};

const NEXT_WITHIN: Duration = Duration::from_secs(60);

pub struct Watch {
    stream: Streaming<pb::WatchLockResponse>,
}

impl Watch {
    pub(super) fn new(stream: Streaming<pb::WatchLockResponse>) -> Self {
        Self { stream }
    }

    /// The next state.
    pub async fn next(&mut self) -> Result<pb::Lock, Status> {
        let message = tokio::time::timeout(NEXT_WITHIN, self.stream.message()).await;
        let message = message.map_err(|_| Status::deadline_exceeded("nothing came"))??;
        message.and_then(|state| state.lock).ok_or_else(|| Status::aborted("the watch has ended"))
    }

    /// The first state that is as asked for.
    pub async fn until(&mut self, is_so: impl Fn(&pb::Lock) -> bool) -> Result<pb::Lock, Status> {
        loop {
            let lock = self.next().await?;
            if is_so(&lock) {
                return Ok(lock);
            }
        }
    }
}
