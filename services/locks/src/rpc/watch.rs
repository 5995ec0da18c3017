//! WatchLock: what a watch brings, as messages; and how it ends.

use holdfast_fault::Fault;
use holdfast_ids::TenantId;
use holdfast_proto::locks::v1 as pb;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::Rpc;
use crate::app::Asking;
use crate::app::watch::Watcher;
use crate::domain::resource::Resource;
use crate::error;

/// Messages that wait for a caller; beyond them the watch waits too, and leaves out what is no longer so.
const MESSAGES_WAITING_MAX: usize = 2;

pub(super) type Watched = ReceiverStream<Result<pb::WatchLockResponse, Status>>;
type Outbound = mpsc::Sender<Result<pb::WatchLockResponse, Status>>;

pub(super) async fn begin(
    rpc: &Rpc,
    asking: Asking,
    tenant_id: Option<TenantId>,
    resource: Resource,
) -> Result<Watched, Fault> {
    let draining = rpc.app.core.draining.clone();
    if draining.is_cancelled() {
        return Err(error::draining());
    }
    let watcher = rpc.app.watch(&asking, tenant_id, resource)?;
    let (out, messages) = mpsc::channel(MESSAGES_WAITING_MAX + 1);
    // Of the places one is kept for the reason of the end: a caller that takes nothing is told it too, once it does.
    let last_word = out.clone().reserve_owned().await.map_err(Fault::unexpected)?;
    tokio::spawn(async move {
        let end = tokio::select! {
            end = follow(watcher, &out) => end,
            () = asking.token_expiry() => Some(error::token_expired()),
            () = draining.cancelled() => Some(error::draining()),
            () = out.closed() => None,
        };
        if let Some(fault) = end {
            last_word.send(Err(fault.into()));
        }
    });
    Ok(ReceiverStream::new(messages))
}

/// None where nobody listens.
async fn follow(mut watcher: Watcher, out: &Outbound) -> Option<Fault> {
    loop {
        // A place first: what is sent is then the latest.
        let place = out.reserve().await.ok()?;
        match watcher.next().await {
            Ok(seen) => place.send(Ok(pb::WatchLockResponse { lock: Some(seen.as_ref().clone().into()) })),
            Err(fault) => return Some(fault),
        }
    }
}
