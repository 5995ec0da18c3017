//! Two tenants in the same batches: calls of both travel in one transaction, whose scope covers both. What keeps them
//! apart there is the tenant predicate of each statement.

use std::{collections::BTreeMap, time::Duration, time::Instant};

use anyhow::{Context as _, Result, ensure};
use futures::future::join_all;
use holdfast_fault::Received;
use holdfast_proto::jobs::v1::{
    BatchSubmitJobsRequest, CancelJobRequest, CompleteJobRequest, ExtendLeasesRequest, FailJobRequest, GetJobRequest,
    LeaseExtension, LeaseJobsRequest, LeaseRef, ListJobEventsRequest, Payload, Queue,
    lease_extension_result::Outcome as Extension,
};
use holdfast_system_tests::{
    check::tables,
    client::{Client, submission},
    proof::Proof,
    rig::{Rig, RigSpec},
};
use tonic::Status;

const OWNER: &str = "acme";
const INTRUDER: &str = "globex";
const PROJECT: &str = "shared-name";
const JOBS_PER_ROUND: usize = 64;

/// What the intruder may be told, of every RPC that names a job.
const NOT_FOUND: &str = "JOB_404_NOT_FOUND";

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_two_tenants_leaks_nothing() -> Result<()> {
    let proof = Proof::begin("tenants").await;
    let limit = format!("[[limits.projects]]\ntenant = \"{OWNER}\"\nproject = \"{PROJECT}\"\nrunning = 1000\n");
    // One instance, so that both tenants meet in its batches; long leases, which no round outlasts.
    let spec =
        RigSpec { jobs: 1, relays: 0, lease_ttl: Duration::from_secs(60), settings: limit, ..Default::default() };
    let rig = Rig::start(spec).await?;
    let one = |clients: Vec<Client>| clients.into_iter().next().context("the rig has an instance");
    let owner = Party { submitter: one(rig.submitters("owner", OWNER)?)?, worker: one(rig.workers(&[OWNER])?)? };
    let intruder =
        Party { submitter: one(rig.submitters("intruder", INTRUDER)?)?, worker: one(rig.workers(&[INTRUDER])?)? };

    let until = proof.deadline();
    let (mut rounds, mut tried, mut leaks) = (0, 0, Vec::new());
    while Instant::now() < until && leaks.is_empty() {
        owner.submit(rounds).await?;
        let leases = owner.lease().await?;
        let (own, targets) = leases.split_at(leases.len() / 2);
        // The intruder holds the very leases: nothing but its tenant is wrong.
        let intrusions = targets.iter().map(|lease| intruder.intrude(lease));
        let (completed, intrusions) =
            tokio::join!(join_all(own.iter().map(|lease| owner.complete(lease))), join_all(intrusions));
        completed.into_iter().collect::<Result<Vec<_>, Status>>()?;
        for (call, answer) in intrusions.into_iter().flatten() {
            tried += 1;
            if answer != NOT_FOUND {
                leaks.push(format!("leak: {call} of another tenant's job was answered {answer}"));
            }
        }
        // Untouched: their owner completes them.
        for (lease, completed) in targets.iter().zip(join_all(targets.iter().map(|lease| owner.complete(lease))).await)
        {
            leaks.extend(completed.err().map(|status| format!("leak: {lease:?} is no longer its owner's: {status:?}")));
        }
        rounds += 1;
    }
    let histories = tables::histories(rig.stack.database.admin()).await?;
    let foreign = histories.values().flatten().filter(|event| event.tenant_id != OWNER || event.actor_id == "intruder");
    leaks.extend(foreign.map(|event| format!("leak: the history holds {event:?}")));
    proof.counts(&[("rounds", rounds), ("jobs", histories.len()), ("intrusions", tried), ("leaks", leaks.len())]);
    ensure!(tried > 0, "nobody intruded, so nothing is proved");
    proof.conclude(leaks);
    Ok(())
}

struct Party {
    submitter: Client,
    worker: Client,
}

type Told = Vec<(&'static str, String)>;

impl Party {
    async fn submit(&self, round: usize) -> Result<()> {
        let job = |number| submission("", PROJECT, &format!("{round}-{number}"), "{}");
        let request = BatchSubmitJobsRequest { jobs: (0..JOBS_PER_ROUND).map(job).collect() };
        self.submitter.jobs.clone().batch_submit_jobs(request).await?;
        Ok(())
    }

    async fn lease(&self) -> Result<Vec<LeaseRef>> {
        let mut leases = BTreeMap::new();
        while leases.len() < JOBS_PER_ROUND {
            let request = LeaseJobsRequest {
                worker_id: "worker".to_owned(),
                intents: vec!["*".to_owned()],
                queues: vec![Queue::Project.into()],
                max_jobs: (JOBS_PER_ROUND - leases.len()) as i32,
                wait: Some(prost_types::Duration { seconds: 5, nanos: 0 }),
            };
            let jobs = self.worker.workers.clone().lease_jobs(request).await?.into_inner().jobs;
            ensure!(!jobs.is_empty(), "only {} of {JOBS_PER_ROUND} jobs could be leased", leases.len());
            leases.extend(jobs.into_iter().filter_map(|job| job.lease).map(|lease| (lease.job_id.clone(), lease)));
        }
        Ok(leases.into_values().collect())
    }

    async fn complete(&self, lease: &LeaseRef) -> Result<(), Status> {
        let result = Some(Payload { data: b"{}".to_vec().into(), content_type: String::new() });
        let request = CompleteJobRequest { lease: Some(lease.clone()), result };
        self.worker.workers.clone().complete_job(request).await.map(drop)
    }

    /// Every call that names a job or a lease, and what each was told.
    async fn intrude(&self, lease: &LeaseRef) -> Told {
        let (mut jobs, mut workers) = (self.submitter.jobs.clone(), self.worker.workers.clone());
        let (mut canceller, mut lister, mut failer) = (jobs.clone(), jobs.clone(), workers.clone());
        let job_id = || lease.job_id.clone();
        let fail = FailJobRequest {
            lease: Some(lease.clone()),
            retryable: true,
            code: "intrusion".to_owned(),
            message: String::new(),
        };
        let cancel =
            CancelJobRequest { job_id: job_id(), reason: String::new(), idempotency_key: "intrusion".to_owned() };
        let extend =
            ExtendLeasesRequest { leases: vec![LeaseExtension { lease: Some(lease.clone()), progress: None }] };
        let list = ListJobEventsRequest { job_id: job_id(), page_size: 0, page_token: String::new() };
        let (complete, failed, extended, cancelled, got, listed) = tokio::join!(
            self.complete(lease),
            failer.fail_job(fail),
            workers.extend_leases(extend),
            canceller.cancel_job(cancel),
            jobs.get_job(GetJobRequest { job_id: job_id() }),
            lister.list_job_events(list),
        );
        let extended = extended.map(|response| response.into_inner().results.into_iter().next());
        let extended = match extended.map(|first| first.and_then(|result| result.outcome)) {
            Ok(Some(Extension::Error(status))) => Received::from_rpc(&status).name(),
            other => format!("{other:?}"),
        };
        vec![
            ("CompleteJob", told(complete)),
            ("FailJob", told(failed)),
            ("ExtendLeases", extended),
            ("CancelJob", told(cancelled)),
            ("GetJob", told(got)),
            ("ListJobEvents", told(listed)),
        ]
    }
}

fn told<T>(answer: Result<T, Status>) -> String {
    match answer {
        Ok(_) => "OK".to_owned(),
        Err(status) => Received::from_status(&status).name(),
    }
}
