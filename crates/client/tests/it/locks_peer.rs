//! A locks service that answers by a script, for what a real one cannot be made to do on time: each method takes its next
//! answer, the last one again and again.

use std::{
    collections::{BTreeMap, VecDeque},
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Result;
use futures::Stream;
use holdfast_client::{Reason, locks_pb as pb, resource};
use holdfast_fault::Fault;
use pb::lock_service_server::{LockService, LockServiceServer};
use tokio::{net::TcpListener, time::sleep};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, Status, Streaming, transport::Server};

#[derive(Clone)]
pub enum Reply {
    /// For as long as this the lease lasts from now.
    Lasts(Duration),
    /// The same of a lease that was granted before.
    Replayed(Duration),
    /// The same, after so long on its way.
    Late(Duration, Duration),
    Fault(Fault),
    /// None at all.
    Silence,
}

impl From<Reason> for Reply {
    fn from(reason: Reason) -> Self {
        Self::Fault(Fault::new(reason, "by the script"))
    }
}

/// What a request said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    pub method: &'static str,
    pub key: String,
    pub wait: Duration,
    pub renewal: u32,
}

pub struct LocksPeer {
    pub endpoint: String,
    script: Script,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Clone)]
struct Script {
    replies: Arc<Mutex<BTreeMap<&'static str, VecDeque<Reply>>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

pub const ACQUIRE: &str = "acquire";
pub const RENEW: &str = "renew";
pub const RELEASE: &str = "release";

impl LocksPeer {
    pub async fn start(acquire: impl Into<Vec<Reply>>, renew: impl Into<Vec<Reply>>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let replies = [(ACQUIRE, acquire.into().into()), (RENEW, renew.into().into())];
        let script = Script { replies: Arc::new(Mutex::new(replies.into())), seen: Arc::default() };
        let service = LockServiceServer::new(script.clone());
        let serving = tokio::spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            Server::builder().add_service(service).serve_with_incoming(incoming).await.expect("the peer serves");
        });
        Ok(Self { endpoint, script, _serving: AbortOnDropHandle::new(serving) })
    }

    pub fn seen(&self, method: &str) -> Vec<Seen> {
        let seen = self.script.seen.lock().unwrap();
        seen.iter().filter(|seen| seen.method == method).cloned().collect()
    }
}

impl Script {
    fn next(&self, seen: Seen) -> Reply {
        let mut replies = self.replies.lock().unwrap();
        let replies = replies.get_mut(seen.method).expect("a script for each method");
        self.seen.lock().unwrap().push(seen);
        if replies.len() > 1 { replies.pop_front() } else { replies.front().cloned() }.expect("a script has replies")
    }

    async fn lasting(&self, seen: Seen) -> Result<(Duration, bool), Status> {
        match self.next(seen) {
            Reply::Lasts(lasts) => Ok((lasts, false)),
            Reply::Replayed(lasts) => Ok((lasts, true)),
            Reply::Late(lasts, late) => {
                sleep(late).await;
                Ok((lasts, false))
            }
            Reply::Fault(fault) => Err(fault.into()),
            Reply::Silence => std::future::pending().await,
        }
    }
}

fn wire(duration: Duration) -> Option<prost_types::Duration> {
    duration.try_into().ok()
}

type States = Pin<Box<dyn Stream<Item = Result<pb::WatchLockResponse, Status>> + Send>>;
type Held = Pin<Box<dyn Stream<Item = Result<pb::HoldLockResponse, Status>> + Send>>;

#[tonic::async_trait]
impl LockService for Script {
    type HoldLockStream = Held;
    type WatchLockStream = States;

    async fn acquire_lock(
        &self,
        request: Request<pb::AcquireLockRequest>,
    ) -> Result<Response<pb::AcquireLockResponse>, Status> {
        let terms = request.into_inner().terms.unwrap_or_default();
        let wait = terms.wait.and_then(|wait| wait.try_into().ok()).unwrap_or_default();
        let seen = Seen { method: ACQUIRE, key: terms.idempotency_key, wait, ..Seen::default() };
        let (lasts, replayed) = self.lasting(seen).await?;
        let held =
            |key, fencing_token| pb::HeldResource { resource: Some(resource("p", "project", key)), fencing_token };
        let lease = pb::Lease {
            tenant_id: "t".into(),
            lease_id: "l".into(),
            resources: vec![held("a", 7), held("b", 3)],
            expires_in: wire(lasts),
            heartbeat_interval: terms.ttl.and_then(|ttl| wire(Duration::try_from(ttl).ok()? / 3)),
            ..pb::Lease::default()
        };
        Ok(Response::new(pb::AcquireLockResponse { lease: Some(lease), replayed, ..Default::default() }))
    }

    async fn renew_lock(
        &self,
        request: Request<pb::RenewLockRequest>,
    ) -> Result<Response<pb::RenewLockResponse>, Status> {
        let renewal = request.into_inner().renewal;
        let (lasts, _) = self.lasting(Seen { method: RENEW, renewal, ..Seen::default() }).await?;
        let answer = pb::RenewLockResponse { expires_in: wire(lasts), renewals: renewal, ..Default::default() };
        Ok(Response::new(answer))
    }

    async fn release_lock(
        &self,
        _: Request<pb::ReleaseLockRequest>,
    ) -> Result<Response<pb::ReleaseLockResponse>, Status> {
        self.seen.lock().unwrap().push(Seen { method: RELEASE, ..Seen::default() });
        Ok(Response::new(pb::ReleaseLockResponse::default()))
    }

    async fn acquire_locks(
        &self,
        _: Request<pb::AcquireLocksRequest>,
    ) -> Result<Response<pb::AcquireLocksResponse>, Status> {
        Err(Status::unimplemented("no script"))
    }

    async fn hold_lock(&self, _: Request<Streaming<pb::HoldLockRequest>>) -> Result<Response<Held>, Status> {
        Err(Status::unimplemented("no script"))
    }

    async fn get_lock(&self, _: Request<pb::GetLockRequest>) -> Result<Response<pb::GetLockResponse>, Status> {
        Err(Status::unimplemented("no script"))
    }

    async fn list_locks(&self, _: Request<pb::ListLocksRequest>) -> Result<Response<pb::ListLocksResponse>, Status> {
        Err(Status::unimplemented("no script"))
    }

    /// Versions 1, 1 and 2, each on a stream of its own that breaks behind it.
    async fn watch_lock(&self, _: Request<pb::WatchLockRequest>) -> Result<Response<States>, Status> {
        let mut seen = self.seen.lock().unwrap();
        let version = if seen.len() < 2 { 1 } else { 2 };
        seen.push(Seen { method: "watch", ..Seen::default() });
        let lock = pb::Lock { version, ..pb::Lock::default() };
        let state = Ok(pb::WatchLockResponse { lock: Some(lock) });
        let broken = Err(Status::from(Fault::new(Reason::Infra503Draining, "by the script")));
        Ok(Response::new(Box::pin(futures::stream::iter([state, broken]))))
    }

    async fn check_fence(&self, _: Request<pb::CheckFenceRequest>) -> Result<Response<pb::CheckFenceResponse>, Status> {
        Err(Status::unimplemented("no script"))
    }

    async fn force_release_lock(
        &self,
        _: Request<pb::ForceReleaseLockRequest>,
    ) -> Result<Response<pb::ForceReleaseLockResponse>, Status> {
        Err(Status::unimplemented("no script"))
    }
}
