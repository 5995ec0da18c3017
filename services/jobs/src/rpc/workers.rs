//! WorkerService: the unary twin, and the door to sessions.

use std::time::{Duration, Instant};

use holdfast_fault::Fault;
use holdfast_proto::jobs::v1 as pb;
use holdfast_proto::jobs::v1::worker_service_server::WorkerService;
use holdfast_runtime::page::ANSWER_BYTES_MAX;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::session::{self, Session};
use super::{Rpc, open};
use crate::app::lease::Taker;
use crate::app::{Asking, authorise};
use crate::wire::worker::{self, Offer, completion, extension_result, failure, lease_request, lease_terms, renewals};

/// Left of a call's deadline for the answer's way back, so that leases are not taken for a caller that has given up.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);

#[async_trait]
impl WorkerService for Rpc {
    type WorkStream = ReceiverStream<Result<pb::WorkResponse, Status>>;

    async fn work(&self, request: Request<Streaming<pb::WorkRequest>>) -> Result<Response<Self::WorkStream>, Status> {
        let (asking, inbound) = open(request)?;
        // Refused here, before any message, where it can be.
        authorise::worker_tenants(&asking.caller, &self.app.core.limits)?;
        let (outbound, responses) = session::outbound();
        tokio::spawn(Session::serve(self.clone(), asking, inbound, outbound));
        Ok(Response::new(responses))
    }

    async fn lease_jobs(
        &self,
        request: Request<pb::LeaseJobsRequest>,
    ) -> Result<Response<pb::LeaseJobsResponse>, Status> {
        let (asking, request) = open(request)?;
        if self.draining.is_cancelled() {
            return Err(session::draining().into());
        }
        let (offer, wait) = lease_request(request)?;
        let wait = asking.deadline.map_or(wait, |deadline| {
            wait.min(deadline.saturating_duration_since(Instant::now()).saturating_sub(ANSWER_MARGIN))
        });
        let (wanted, taker) = (self.wanted(&asking, &offer)?, taker(&asking, &offer, ANSWER_BYTES_MAX));
        let jobs_max = offer.jobs_max as usize;
        let jobs = self.app.dispatcher.request(&asking, wanted, taker, jobs_max, wait).await?;
        let (lease_ttl, heartbeat_interval) = lease_terms(self.app.core.limits.lease_ttl);
        let jobs = jobs.into_iter().map(Into::into).collect();
        Ok(Response::new(pb::LeaseJobsResponse { jobs, lease_ttl, heartbeat_interval }))
    }

    async fn extend_leases(
        &self,
        request: Request<pb::ExtendLeasesRequest>,
    ) -> Result<Response<pb::ExtendLeasesResponse>, Status> {
        let (asking, request) = open(request)?;
        // Named in the answer as they were sent, which a malformed one has no other way to be.
        let leases: Vec<_> = request.leases.iter().map(|extension| extension.lease.clone()).collect();
        let outcomes = self.app.extend_each(&asking, renewals("leases", request.leases, 1)?).await?;
        let results =
            leases.into_iter().zip(outcomes).map(|(lease, outcome)| extension_result(lease, outcome)).collect();
        Ok(Response::new(pb::ExtendLeasesResponse { results }))
    }

    async fn complete_job(
        &self,
        request: Request<pb::CompleteJobRequest>,
    ) -> Result<Response<pb::CompleteJobResponse>, Status> {
        let (asking, request) = open(request)?;
        let (lease, verdict) = completion(request)?;
        Ok(Response::new(self.app.answers.answer(&asking, lease, verdict).await?.into()))
    }

    async fn fail_job(&self, request: Request<pb::FailJobRequest>) -> Result<Response<pb::FailJobResponse>, Status> {
        let (asking, request) = open(request)?;
        let (lease, verdict) = failure(request)?;
        Ok(Response::new(self.app.answers.answer(&asking, lease, verdict).await?.into()))
    }
}

impl Rpc {
    pub(super) fn wanted(&self, asking: &Asking, offer: &Offer) -> Result<crate::app::Wanted, Fault> {
        let limits = &self.app.core.limits;
        authorise::worker(&asking.caller, limits, offer.queues.clone(), &offer.intents, offer.any_intent)
    }
}

/// `bytes_max`: of payloads that travel in one message.
pub(super) fn taker(asking: &Asking, offer: &worker::Offer, bytes_max: usize) -> Taker {
    Taker {
        worker_id: offer.worker_id.clone(),
        actor_id: asking.caller.actor.clone(),
        request_id: asking.request_id.clone(),
        bytes_max,
    }
}
