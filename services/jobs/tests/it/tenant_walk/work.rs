//! Steps of WorkerService's unary calls.

use anyhow::Result;
use pb::JobState;
use pb::lease_extension_result::Outcome;
use rand::Rng as _;
use uuid::Uuid;

use super::side::{By, Refusal};
use super::{Walk, Who};
use crate::support::*;

/// A lease that nobody holds, of a job that nobody has.
pub fn nobodys_lease() -> pb::LeaseRef {
    pb::LeaseRef {
        job_id: Uuid::now_v7().to_string(),
        lease_id: Uuid::now_v7().to_string(),
        fencing_token: chrono::Utc::now().timestamp_micros().unsigned_abs(),
    }
}

pub fn renew(lease: &pb::LeaseRef, note: String) -> pb::LeaseExtension {
    pb::LeaseExtension { lease: Some(lease.clone()), progress: Some(pb::Progress { percent: 10, note }) }
}

/// The first of the results are of this tenant's leases; the two behind them, of the other's and of nobody's, are alike.
pub fn check_extended(results: &[pb::LeaseExtensionResult], own_leases: usize) {
    let (own, foreign) = results.split_at(own_leases);
    for result in own {
        assert!(matches!(result.outcome, Some(Outcome::LeaseExpiresAt(_))), "{result:?}");
    }
    let refusals: Vec<Refusal> = foreign
        .iter()
        .map(|result| match &result.outcome {
            Some(Outcome::Error(status)) => Refusal::from(status),
            other => panic!("extended: {other:?}"),
        })
        .collect();
    assert!(refusals.iter().all(|refusal| refusal.reason == Some(Reason::Job404NotFound)), "{refusals:?}");
    assert!(refusals.windows(2).all(|pair| pair[0] == pair[1]), "{refusals:?}");
}

impl Walk {
    /// One of this tenant's leases, one of the other's.
    pub fn leases(&mut self, own: Who) -> (Option<pb::LeaseRef>, Option<pb::LeaseRef>) {
        let (own_leases, others) = (self.sides[own].model.leases(), self.other(own).model.leases());
        (self.one_of(&own_leases), self.one_of(&others))
    }

    /// How many jobs of this tenant wait for a worker.
    pub fn ready(&self, own: Who) -> usize {
        self.sides[own].model.in_state(JobState::Queued).len()
    }

    pub async fn lease(&mut self, own: Who) -> Result<()> {
        let (max_jobs, worker_id) = (self.rng.random_range(1..=3), self.worker_id(own));
        let ready = self.ready(own);
        // With nothing of its own to wait for it is told so, however much the other has.
        let request = if ready > 0 { lease_waiting(max_jobs) } else { lease(max_jobs) };
        let request = pb::LeaseJobsRequest { worker_id, ..request };
        let answer = self.call::<pb::LeaseJobsResponse>(own, By::Worker, "WorkerService.LeaseJobs", &request).await;
        let leased = answer.expect("a worker may lease").jobs;
        assert!(leased.len() <= ready.min(max_jobs as usize) && leased.is_empty() == (ready == 0), "{leased:?}");
        for job in &leased {
            assert_eq!(job.tenant_id, self.sides[own].tenant.as_str());
            self.sides[own].model.leased(job);
        }
        Ok(())
    }

    pub async fn extend(&mut self, own: Who) -> Result<()> {
        let (own_lease, others) = self.leases(own);
        let note = format!("a tenth for {}", self.sides[own].tenant);
        let leases: Vec<_> =
            own_lease.iter().chain(&others).chain(&[nobodys_lease()]).map(|lease| renew(lease, note.clone())).collect();
        let request = pb::ExtendLeasesRequest { leases };
        let answer =
            self.call::<pb::ExtendLeasesResponse>(own, By::Worker, "WorkerService.ExtendLeases", &request).await;
        let results = answer.expect("each by itself").results;
        assert_eq!(results.len(), request.leases.len());
        check_extended(&results, own_lease.iter().len());
        Ok(())
    }

    /// Answers under the other's lease: as a whole, and under the name of the job of the one and the lease of the other.
    async fn answer_for_the_other<R: prost::Message + std::fmt::Debug>(
        &mut self,
        own: Who,
        method: &str,
        own_lease: Option<&pb::LeaseRef>,
        others: &pb::LeaseRef,
        request: impl Fn(pb::LeaseRef) -> R,
    ) {
        let requests = (request(others.clone()), request(nobodys_lease()));
        let reason = self.refused_alike(own, By::Worker, method, requests).await;
        assert_eq!(reason, Reason::Job404NotFound);
        let Some(own_lease) = own_lease else { return };
        let own_job = |lease: pb::LeaseRef| request(pb::LeaseRef { job_id: own_lease.job_id.clone(), ..lease });
        let requests = (own_job(others.clone()), own_job(nobodys_lease()));
        assert_eq!(self.refused_alike(own, By::Worker, method, requests).await, Reason::Job409StaleFence);
        let own_lease = |job_id: &str| request(pb::LeaseRef { job_id: job_id.to_owned(), ..own_lease.clone() });
        let requests = (own_lease(&others.job_id), own_lease(&nobodys_lease().job_id));
        assert_eq!(self.refused_alike(own, By::Worker, method, requests).await, Reason::Job404NotFound);
    }

    pub async fn complete(&mut self, own: Who) -> Result<()> {
        const METHOD: &str = "WorkerService.CompleteJob";
        let (own_lease, others) = self.leases(own);
        let result = self.sides[own].content(9);
        let request = |lease| pb::CompleteJobRequest { lease: Some(lease), result: Some(json(&result)) };
        if let Some(others) = others {
            self.answer_for_the_other(own, METHOD, own_lease.as_ref(), &others, request).await;
        }
        let Some(lease) = own_lease else { return Ok(()) };
        for replayed in [false, true] {
            let answer = self.call::<pb::CompleteJobResponse>(own, By::Worker, METHOD, &request(lease.clone())).await;
            let answer = answer.expect("its own lease");
            assert_eq!((answer.state(), answer.replayed), (JobState::Done, replayed));
        }
        self.sides[own].model.completed(&lease.job_id, result);
        Ok(())
    }

    pub async fn fail(&mut self, own: Who) -> Result<()> {
        const METHOD: &str = "WorkerService.FailJob";
        let (own_lease, others) = self.leases(own);
        let message = format!("no space left for {}", self.sides[own].tenant);
        let intents: Vec<String> =
            own_lease.iter().map(|lease| self.sides[own].model.jobs[&lease.job_id].key.intent.clone()).collect();
        let retryable = intents.iter().any(|intent| intent == super::side::RETRIED);
        let request = |lease| pb::FailJobRequest {
            lease: Some(lease),
            retryable,
            code: "disk_full".to_owned(),
            message: message.clone(),
        };
        if let Some(others) = others {
            self.answer_for_the_other(own, METHOD, own_lease.as_ref(), &others, request).await;
        }
        let Some(lease) = own_lease else { return Ok(()) };
        let expected = self.sides[own].model.failed(&lease.job_id);
        for replayed in [false, true] {
            let answer = self.call::<pb::FailJobResponse>(own, By::Worker, METHOD, &request(lease.clone())).await;
            let answer = answer.expect("its own lease");
            assert_eq!((answer.state(), answer.replayed), (expected, replayed));
        }
        Ok(())
    }
}
