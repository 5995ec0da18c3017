//! Jobs that wait for other jobs.

mod batches;
mod failing;
mod locking;
mod naming;
mod racing;
mod waiting;

use anyhow::Result;
use pb::{JobState, OnFailure};

use crate::support::*;

fn on(job_id: &str, on_failure: OnFailure) -> pb::Dependency {
    pb::Dependency { on: Some(pb::dependency::On::JobId(job_id.to_owned())), on_failure: on_failure.into() }
}

fn on_item(item: i32) -> pb::Dependency {
    pb::Dependency { on: Some(pb::dependency::On::BatchItem(item)), on_failure: OnFailure::Block.into() }
}

/// A job that waits for others and stays blocked where one of them fails.
fn after<'a>(job_ids: impl IntoIterator<Item = &'a String>) -> pb::SubmitJobRequest {
    let dependencies = job_ids.into_iter().map(|job_id| on(job_id, OnFailure::Block)).collect();
    pb::SubmitJobRequest { dependencies, ..job() }
}

async fn submitted(api: &Api, request: pb::SubmitJobRequest) -> Result<String> {
    Ok(api.submit_job(request).await?.job_id)
}

/// Leases a job and does it.
async fn done(worker: &Api, job_id: &str) -> Result<()> {
    let leased = held(worker, job_id).await?;
    worker.complete_job(complete(&leased, json("1"))).await?;
    Ok(())
}

/// Leases the one job that can be leased, which must be this one.
async fn held(worker: &Api, job_id: &str) -> Result<pb::LeasedJob> {
    let mut leased = worker.lease_jobs(lease_waiting(1)).await?.jobs;
    let leased = leased.pop().ok_or_else(|| anyhow::anyhow!("there is no job to lease"))?;
    anyhow::ensure!(id_of(&leased) == job_id, "{} was leased, not {job_id}", id_of(&leased));
    Ok(leased)
}

async fn comes_to(api: &Api, job_id: &str, state: JobState) -> Result<pb::Job> {
    let look = || async {
        let seen = api.job(job_id).await.map_err(|status| status.to_string())?;
        if seen.state() == state { Ok(seen) } else { Err(format!("{job_id} is {:?}, not {state:?}", seen.state())) }
    };
    eventually(look, SOON).await
}
