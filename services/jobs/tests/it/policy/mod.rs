//! Kill switches, and an outage of policy.

mod away;
pub mod engine;
mod feeding;
mod racing;
mod switches;

use anyhow::Result;
use holdfast_testkit::http_get;
use pb::JobState;
use tokio::sync::OnceCell;

use self::engine::{Engine, Switch};
use crate::support::*;

/// For tests whose switches are in tenants of their own.
async fn shared() -> Result<&'static (Engine, World)> {
    static SHARED: OnceCell<(Engine, World)> = OnceCell::const_new();
    SHARED
        .get_or_try_init(|| async {
            let engine = Engine::start().await?;
            let world = World::with(engine.settings()).await?;
            Ok((engine, world))
        })
        .await
}

async fn comes_to(api: &Api, job_id: &str, state: JobState) -> Result<pb::Job> {
    let look = || async {
        let seen = api.job(job_id).await.map_err(|status| status.to_string())?;
        let found = format!("{job_id} is {:?} {:?}, not {state:?}", seen.state(), seen.held_by);
        if seen.state() == state { Ok(seen) } else { Err(found) }
    };
    eventually(look, SOON).await
}

/// What `/readyz` says of policy; it is ready whatever that is.
async fn standing(instance: &Instance) -> Result<String> {
    let port = instance.process.http_port().unwrap_or_default();
    let reply = http_get(port, "/readyz").await?;
    anyhow::ensure!(reply.status == 200, "{reply:?}");
    let page: serde_json::Value = serde_json::from_str(&reply.body)?;
    Ok(page["dependencies"]["policy"].as_str().unwrap_or_default().to_owned())
}

async fn stands(instance: &Instance, expected: &str) -> Result<()> {
    let look = || async {
        let found = standing(instance).await.map_err(|error| error.to_string())?;
        if found == expected { Ok(()) } else { Err(found) }
    };
    eventually(look, SOON).await
}

/// Who began, and what is in each state at the end of a job's history.
async fn last_move(api: &Api, job_id: &str) -> Result<(String, String)> {
    let last = api.history(job_id).await?.pop().unwrap_or_default();
    Ok((last.actor_id, last.detail))
}

/// The job can be leased, and only it.
async fn leases(worker: &Api, job_id: &str) -> Result<pb::LeasedJob> {
    let mut jobs = worker.lease_jobs(lease_waiting(1)).await?.jobs;
    let leased = jobs.pop().ok_or_else(|| anyhow::anyhow!("there is no job to lease"))?;
    anyhow::ensure!(id_of(&leased) == job_id, "{} was leased, not {job_id}", id_of(&leased));
    Ok(leased)
}

async fn holds_left(world: &World, tenant: &holdfast_ids::TenantId) -> Result<i64> {
    rows::of_tenant(world.db.admin(), "job_holds", tenant).await
}
