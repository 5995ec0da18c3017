//! LeaseJobs, ExtendLeases, CompleteJob, FailJob.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use holdfast_fault::Received;
use holdfast_proto::jobs::v1::{ExtendLeasesRequest, LeaseExtension, LeaseJobsRequest, Queue};
use rand::{Rng as _, rngs::StdRng};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use super::{Plan, RETRY_AFTER, STALE_AGAIN_AFTER, WorkerSpec, completion, duration, failure, is_given_again};
use crate::{
    client::{Client, may_be_repeated},
    journal::{Journal, LeaseKey, Record, Verdict},
};

const WAIT_FOR_JOBS: prost_types::Duration = prost_types::Duration { seconds: 1, nanos: 0 };

struct Worker {
    spec: WorkerSpec,
    clients: Vec<Client>,
    journal: Journal,
}

pub(super) async fn run(spec: WorkerSpec, clients: Vec<Client>, journal: Journal, mut choices: StdRng) -> Result<()> {
    let room = Arc::new(Semaphore::new(usize::try_from(spec.capacity)?));
    let worker = Arc::new(Worker { spec, clients, journal });
    loop {
        let mut permits = vec![room.clone().acquire_owned().await?];
        permits.extend(std::iter::from_fn(|| room.clone().try_acquire_owned().ok()));
        worker.lease(permits, &mut choices).await?;
    }
}

impl Worker {
    /// One LeaseJobs, for as many jobs as there are permits.
    async fn lease(self: &Arc<Self>, mut permits: Vec<OwnedSemaphorePermit>, choices: &mut StdRng) -> Result<()> {
        let request = LeaseJobsRequest {
            worker_id: self.spec.worker_id.clone(),
            intents: vec!["*".to_owned()],
            queues: vec![Queue::Project.into()],
            max_jobs: i32::try_from(permits.len())?,
            wait: Some(WAIT_FOR_JOBS),
        };
        let mut client = self.clients[choices.random_range(0..self.clients.len())].workers.clone();
        let response = match client.lease_jobs(request).await {
            Ok(response) => response.into_inner(),
            Err(status) => {
                eprintln!("LeaseJobs: {status:?}");
                tokio::time::sleep(RETRY_AFTER).await;
                return Ok(());
            }
        };
        let lease_ttl = duration(response.lease_ttl)?;
        for job in response.jobs {
            let lease = LeaseKey::from(job.lease.unwrap_or_default());
            self.journal.write(&Record::Leased { lease: lease.clone(), attempt: job.attempt })?;
            let plan = Plan::choose(&self.spec, lease_ttl, choices);
            let (worker, permit) = (self.clone(), permits.pop());
            tokio::spawn(async move {
                let worked = worker.work(lease, plan, lease_ttl / 3).await;
                drop(permit);
                worked.unwrap_or_else(|error| panic!("the journal cannot be written: {error:#}"));
            });
        }
        Ok(())
    }

    async fn work(&self, lease: LeaseKey, plan: Plan, heartbeat: Duration) -> Result<()> {
        if plan.overstays {
            tokio::time::sleep(plan.hold).await;
        } else {
            // Cancelled in the middle of a renewal, that is left unheard.
            let _ = tokio::time::timeout(plan.hold, self.renew(&lease, heartbeat)).await;
        }
        self.answer(lease, plan.verdict).await
    }

    async fn renew(&self, lease: &LeaseKey, heartbeat: Duration) {
        let mut beat = tokio::time::interval(heartbeat);
        beat.tick().await;
        for turn in 0.. {
            beat.tick().await;
            let extension = LeaseExtension { lease: Some(lease.into()), progress: None };
            let mut client = self.clients[turn % self.clients.len()].workers.clone();
            // What is lost shows when it is answered.
            let _ = client.extend_leases(ExtendLeasesRequest { leases: vec![extension] }).await;
        }
    }

    /// Gives the answer until it is heard, and one that is stale some times more.
    async fn answer(&self, lease: LeaseKey, verdict: Verdict) -> Result<()> {
        self.journal.write(&Record::Answering { lease: lease.clone(), verdict })?;
        let mut stale = 0;
        for turn in 0.. {
            let client = &self.clients[turn % self.clients.len()];
            match send(client, &lease, verdict).await {
                Ok(replayed) => return self.journal.write(&Record::Acknowledged { lease, verdict, replayed }),
                Err(status) => {
                    let received = Received::from_status(&status);
                    if may_be_repeated(&received) {
                        tokio::time::sleep(RETRY_AFTER).await;
                        continue;
                    }
                    self.journal.write(&Record::Refused { lease: lease.clone(), verdict, reason: received.name() })?;
                    if !is_given_again(&received, &mut stale) {
                        return Ok(());
                    }
                    tokio::time::sleep(STALE_AGAIN_AFTER).await;
                }
            }
        }
        Ok(())
    }
}

/// Answers whether it had been recorded before.
async fn send(client: &Client, lease: &LeaseKey, verdict: Verdict) -> Result<bool, Status> {
    let mut client = client.workers.clone();
    Ok(match verdict {
        Verdict::Complete => client.complete_job(completion(lease)).await?.into_inner().replayed,
        Verdict::FailRetryable => client.fail_job(failure(lease)).await?.into_inner().replayed,
    })
}
