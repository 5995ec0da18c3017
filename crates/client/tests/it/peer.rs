//! A gRPC server that answers by a script, for what real services cannot be made to do on time: each request takes the
//! next answer, the last one again and again.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Instant,
};

use anyhow::Result;
use futures::StreamExt as _;
use holdfast_client::{JobState, Reason, pb};
use holdfast_fault::Fault;
use http::HeaderMap;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, Status, body::Body, server::NamedService, transport::Server};
use tower::Service;

#[derive(Clone)]
pub enum Reply {
    Job,
    /// An answer without one.
    Empty,
    /// The job, done.
    Ended,
    Fault(Fault),
    /// A status as something makes it that is not a service.
    Foreign(Status),
    /// None at all.
    Silence,
}

impl From<Reason> for Reply {
    fn from(reason: Reason) -> Self {
        Self::Fault(Fault::new(reason, "by the script"))
    }
}

impl From<Status> for Reply {
    fn from(status: Status) -> Self {
        Self::Foreign(status)
    }
}

/// What a request came with.
#[derive(Clone)]
pub struct Seen {
    pub headers: HeaderMap,
    pub job_id: String,
    pub at: Instant,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

#[derive(Clone)]
pub struct Script {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

pub struct Peer {
    pub endpoint: String,
    script: Script,
    connections: Arc<Mutex<usize>>,
    _serving: AbortOnDropHandle<()>,
}

impl Peer {
    pub async fn start(replies: impl IntoIterator<Item = Reply>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let script = Script { replies: Arc::new(Mutex::new(replies.into_iter().collect())), seen: Arc::default() };
        let connections = Arc::new(Mutex::new(0));
        let counted = connections.clone();
        let incoming = TcpListenerStream::new(listener).inspect(move |_| *counted.lock().unwrap() += 1);
        let service = script.clone();
        let serving = tokio::spawn(async move {
            Server::builder().add_service(service).serve_with_incoming(incoming).await.expect("the peer serves");
        });
        Ok(Self { endpoint, script, connections, _serving: AbortOnDropHandle::new(serving) })
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.script.seen.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

impl Script {
    fn next(&self) -> Reply {
        let mut replies = self.replies.lock().unwrap();
        if replies.len() > 1 { replies.pop_front() } else { replies.front().cloned() }.expect("a script has replies")
    }
}

impl NamedService for Script {
    const NAME: &'static str = "holdfast.jobs.v1.JobService";
}

impl Service<http::Request<Body>> for Script {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    /// Whatever the method: whoever asks, asks for a job.
    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let (script, headers, at) = (self.clone(), request.headers().clone(), Instant::now());
        Box::pin(async move {
            let codec = tonic_prost::ProstCodec::<pb::GetJobResponse, pb::GetJobRequest>::default();
            let answer = tower::service_fn(move |request: Request<pb::GetJobRequest>| {
                let job_id = request.into_inner().job_id;
                script.seen.lock().unwrap().push(Seen { headers: headers.clone(), job_id: job_id.clone(), at });
                let reply = script.next();
                async move {
                    let job = |state: JobState| {
                        let job = pb::Job { job_id, state: state.into(), ..Default::default() };
                        Response::new(pb::GetJobResponse { job: Some(job) })
                    };
                    match reply {
                        Reply::Job => Ok(job(JobState::Queued)),
                        Reply::Ended => Ok(job(JobState::Done)),
                        Reply::Empty => Ok(Response::new(pb::GetJobResponse::default())),
                        Reply::Fault(fault) => Err(fault.into()),
                        Reply::Foreign(status) => Err(status),
                        Reply::Silence => std::future::pending().await,
                    }
                }
            });
            Ok(tonic::server::Grpc::new(codec).unary(answer, request).await)
        })
    }
}
