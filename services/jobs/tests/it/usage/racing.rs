//! Budgets under concurrent usage: two instances, many reporters who repeat themselves, Redis emptied and killed under them.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, ensure};
use futures::future::join_all;
use pb::JobState;
use pb::record_usage_result::Outcome;
use rand::Rng as _;

use super::*;

const JOBS: usize = 6;
const REPORTERS: usize = 12;
const CALLS: usize = 12;
const REPORTS_A_CALL: usize = 4;
/// A job's limit is about half of what is reported of it.
const JOB_TOKENS: i64 = (REPORTERS * CALLS * REPORTS_A_CALL / JOBS) as i64 * 10 / 2;

/// What one reporter was told: each acknowledged key, with its tokens.
type Told = BTreeMap<(String, String), i64>;

#[test]
fn concurrent_usage_is_counted_once_and_ends_each_job_once() -> Result<()> {
    run(async {
        let settings = lively().set("budgets.job_tokens", JOB_TOKENS);
        let world = Arc::new(World::with(settings).await?);
        let other = world.another_instance().await?;
        let tenant = tenant();
        let mut leased = Vec::new();
        for number in 0..JOBS {
            leased.push(running(&world, &tenant, &format!("project-{}", number % 2)).await?);
        }
        let leased = Arc::new(leased);
        let apis = [world.worker("worker-1", &tenant), world.worker("worker-1", &tenant).over(&other)];
        let deadlocks = deadlocks(world.db.admin()).await?;
        let reporters: Vec<_> =
            (0..REPORTERS).map(|number| tokio::spawn(report(number, apis.clone(), leased.clone()))).collect();
        world.redis.flush().await?;
        world.redis.kill().await?;
        world.redis.restart().await?;
        world.redis.flush().await?;
        let mut told = Told::new();
        for reporter in join_all(reporters).await {
            for (key, tokens) in reporter?? {
                ensure!(
                    *told.entry(key.clone()).or_insert(tokens) == tokens,
                    "{key:?} was recorded twice, differently"
                );
            }
        }

        check_sums(world.db.admin()).await?;
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT job_id::text, idempotency_key, input_tokens FROM jobs.model_usage WHERE tenant_id = $1",
        )
        .bind(tenant.as_str())
        .fetch_all(world.db.admin())
        .await?;
        let rows: Told = rows.into_iter().map(|(job_id, key, tokens)| ((job_id, key), tokens)).collect();
        ensure!(rows == told, "{} rows for {} acknowledged reports", rows.len(), told.len());
        let alice = world.user("alice", &tenant);
        for job in leased.iter() {
            let job_id = id_of(job);
            let used: i64 = told.iter().filter(|((of, _), _)| *of == job_id).map(|(_, tokens)| tokens).sum();
            ensure!(used > JOB_TOKENS, "{job_id} used {used}: nothing was raced for");
            assert_eq!(alice.job(&job_id).await?.state(), JobState::BudgetExceeded);
        }
        assert_eq!(self::deadlocks(world.db.admin()).await?, deadlocks);
        Ok(())
    })
}

/// Reports on several jobs a call, in any order; repeats a part of what it said, over the other instance.
async fn report(number: usize, apis: [Api; 2], leased: Arc<Vec<pb::LeasedJob>>) -> Result<Told> {
    let mut told = Told::new();
    for call in 0..CALLS {
        let usages: Vec<pb::Usage> = (0..REPORTS_A_CALL)
            .map(|index| {
                let job = (number + call + index * 5 + rand::rng().random_range(0..2)) % JOBS;
                let idempotency_key = format!("{number}-{call}-{index}");
                pb::Usage { idempotency_key, ..held(&leased[job], 8 + (index as i64), 1) }
            })
            .collect();
        let api = &apis[(number + call) % 2];
        let repeated = apis[(number + call + 1) % 2].clone();
        // At the same time as the first, so that the two race.
        let again = call.is_multiple_of(3).then(|| usages.clone());
        let (first, second) = tokio::join!(outcomes(api, usages.clone()), async {
            match again {
                Some(usages) => outcomes(&repeated, usages).await,
                None => Ok(Vec::new()),
            }
        });
        let (first, second) = (first?, second?);
        for (index, usage) in usages.iter().enumerate() {
            let both: Vec<&Outcome> = [first.get(index), second.get(index)].into_iter().flatten().collect();
            let news = both.iter().filter(|told| matches!(told, Outcome::Recorded(told) if !told.replayed)).count();
            ensure!(news == 1, "recorded {news} times: {both:?}");
            let job_id = usage.lease.as_ref().map(|lease| lease.job_id.clone()).unwrap_or_default();
            told.insert((job_id, usage.idempotency_key.clone()), usage.input_tokens);
        }
    }
    Ok(told)
}

async fn deadlocks(pool: &PgPool) -> Result<i64> {
    let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    Ok(sqlx::query_scalar(sql).fetch_one(pool).await?)
}
