//! WatchJobs: what a watch brings, as messages; and how it ends.

use std::time::{Duration, SystemTime};

use holdfast_fault::{Fault, Reason};
use holdfast_ids::{JobId, ProjectId};
use holdfast_proto::jobs::v1 as pb;
use pb::watch_jobs_request::Scope as In;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::Rpc;
use super::session::{draining, token_expired};
use crate::app::watch::{Scope, Watcher};
use crate::app::{Asking, authorise};
use crate::metrics;
use crate::wire::field::{id, required};
use crate::wire::watch::{named_tenant, token, wish};

/// Messages that wait for a caller; beyond them the watch waits too.
const MESSAGES_WAITING_MAX: usize = 4;

pub(super) type Watched = ReceiverStream<Result<pb::WatchJobsResponse, Status>>;
type Outbound = mpsc::Sender<Result<pb::WatchJobsResponse, Status>>;

pub(super) async fn begin(rpc: &Rpc, asking: Asking, mut request: pb::WatchJobsRequest) -> Result<Watched, Fault> {
    if rpc.draining.is_cancelled() {
        return Err(draining());
    }
    let scope = match required("scope", request.scope.take())? {
        // A member that is set to nothing is not there, as for any field.
        In::JobId(job_id) if job_id.is_empty() => return Err(Fault::missing("scope")),
        In::JobId(job_id) => Scope::Job { job_id: id("job_id", &job_id, JobId::parse)? },
        In::Project(project) => Scope::Project {
            tenant_id: authorise::tenant(&asking.caller, named_tenant(&project)?)
                .map_err(|fault| fault.under("project."))?,
            project_id: id("project.project_id", &project.project_id, ProjectId::parse)?,
        },
    };
    let wish = wish(request, scope.clone())?;
    let watcher = rpc.app.watch(&asking, wish).await?;
    let (out, messages) = mpsc::channel(MESSAGES_WAITING_MAX + 1);
    // Of the places one is kept for the reason of the end: a caller that takes nothing is told it too, once it does.
    let last_word = out.clone().reserve_owned().await.map_err(Fault::unexpected)?;
    let limits = rpc.app.core.limits.watch;
    let expires_in = asking.caller.expires_at.duration_since(SystemTime::now()).unwrap_or_default();
    let shutdown = rpc.draining.clone();
    tokio::spawn(async move {
        let end = tokio::select! {
            end = follow(watcher, &scope, &out, limits.bookmark_every, limits.stall_max) => end,
            () = tokio::time::sleep(expires_in) => Some(token_expired()),
            () = shutdown.cancelled() => Some(draining()),
            () = out.closed() => None,
        };
        if let Some(fault) = end {
            last_word.send(Err(fault.into()));
        }
    });
    Ok(ReceiverStream::new(messages))
}

/// None where nothing comes any more, or nobody listens.
async fn follow(
    mut watcher: Watcher,
    scope: &Scope,
    out: &Outbound,
    bookmark_every: Duration,
    stall_max: Duration,
) -> Option<Fault> {
    loop {
        let events = match watcher.next(Instant::now() + bookmark_every).await {
            Ok(events) => events?.into_iter().map(Into::into).collect(),
            Err(fault) => return Some(fault),
        };
        let message = pb::WatchJobsResponse { events, resume_token: token(scope, watcher.place()) };
        match tokio::time::timeout(stall_max, out.send(Ok(message))).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(_) => {
                metrics::watch_too_slow();
                return Some(Fault::new(Reason::Req408SlowConsumer, "the caller did not take what there was"));
            }
        }
    }
}
