//! What /metrics says of the service's look-ups.

use std::collections::BTreeMap;

use anyhow::Result;
use holdfast_testkit::{eventually, http_get};

use crate::support::*;

/// How many look-ups were timed, by query.
async fn timed(world: &World) -> Result<BTreeMap<String, u64>> {
    let page = http_get(world.first.process.http_port().expect("a service has one"), "/metrics").await?.body;
    let counts = page.lines().filter_map(|line| line.strip_prefix("jobs_query_ms_count{query=\"")?.split_once("\"} "));
    counts.map(|(query, count)| Ok((query.to_owned(), count.parse()?))).collect()
}

#[test]
fn look_ups_by_id_and_by_key_are_timed_each_by_its_query() -> Result<()> {
    run(async {
        let world = World::with(Settings::default()).await?;
        let (memory, request) = (world.service("memory", &tenant()), job());
        let job_id = memory.submit_job(request.clone()).await?.job_id;
        assert_eq!(timed(&world).await?, BTreeMap::new(), "a first submission looks nothing up");

        memory.job(&job_id).await?;
        assert!(memory.submit_job(request.clone()).await?.replayed);
        let scope = pb::KeyScope {
            tenant_id: request.tenant_id,
            project_id: request.project_id,
            intent: request.intent,
            idempotency_key: request.idempotency_key,
        };
        memory.get_key(pb::GetKeyRequest { scope: Some(scope) }).await?;
        let once = ["job_by_id", "key_head", "key_lock"].map(|query| (query.to_owned(), 1));
        eventually(|| async { timed(&world).await.is_ok_and(|timed| timed == once.clone().into()) }, SOON).await
    })
}
