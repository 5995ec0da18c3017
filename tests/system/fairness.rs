//! Shares of what workers have room for: ten tenants by weight, one of them flooding; and one project that is kept below all.
//! What each had is read from the history rows.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use holdfast_fault::Received;
use holdfast_proto::jobs::v1::{
    BatchSubmitJobsRequest, CompleteJobRequest, LeaseJobsRequest, LeasedJob, Payload, Queue,
};
use holdfast_system_tests::{
    client::{Client, may_be_repeated, submission},
    proof::Proof,
    rig::{Rig, RigSpec},
};
use sqlx::PgPool;
use tonic::{Response, Status};

const PROJECT: &str = "project";
const WORKERS: usize = 24;
/// How long a worker holds a job: its capacity is fixed, and all of it is wanted.
const HOLD: Duration = Duration::from_millis(20);
/// Jobs that wait in each tenant's queue, and in that of the one that floods.
const BACKLOG: usize = 300;
const FLOOD: usize = 10 * BACKLOG;
/// Leases a tenant that a share can be told from, and how long a slow machine may go on for them.
const LEASES_MIN: usize = 100;
const SLOWEST: Duration = Duration::from_secs(60);
const RETRY_AFTER: Duration = Duration::from_millis(50);
/// Of a share, by which it may be missed.
const TOLERANCE: f64 = 0.10;
const FLOOR: f64 = 0.05;
const CAP: f64 = 0.60;

/// A tenant with one project.
struct Party {
    tenant: String,
    weight: u32,
    backlog: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_served_by_weight_while_one_floods() -> Result<()> {
    let parties = (1..=10).map(|weight| Party {
        tenant: format!("tenant-{weight}"),
        weight,
        backlog: if weight == 1 { FLOOD } else { BACKLOG },
    });
    shared("fairness", parties.collect()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_more_than_the_cap_while_another_wants() -> Result<()> {
    let heavy = Party { tenant: "heavy".to_owned(), weight: 10_000, backlog: FLOOD };
    shared("fairness cap", vec![heavy, Party { tenant: "light".to_owned(), weight: 1, backlog: BACKLOG }]).await
}

async fn shared(name: &'static str, parties: Vec<Party>) -> Result<()> {
    let proof = Proof::begin(name).await;
    // Long leases: nothing is lost that would be tried again.
    let spec =
        RigSpec { relays: 0, lease_ttl: Duration::from_secs(60), settings: settings(&parties), ..Default::default() };
    let rig = Rig::start(spec).await?;
    let admin = rig.stack.database.admin();
    let submitters: BTreeMap<&str, Vec<Client>> = parties
        .iter()
        .map(|party| Ok((party.tenant.as_str(), rig.submitters("proof", &party.tenant)?)))
        .collect::<Result<_>>()?;
    let mut number = 0;
    top_up(admin, &parties, &submitters, &mut number).await?;

    let stop = Arc::new(AtomicBool::new(false));
    let tenants: Vec<&str> = parties.iter().map(|party| party.tenant.as_str()).collect();
    let instances = rig.workers(&tenants)?;
    let workers: Vec<_> = (0..WORKERS)
        .map(|number| tokio::spawn(work(instances[number % instances.len()].clone(), stop.clone())))
        .collect();
    let began: f64 = clock(admin).await?;
    let (until, too_late) = (Instant::now() + proof.duration(), Instant::now() + proof.duration() + SLOWEST);
    let enough = LEASES_MIN * parties.len();
    loop {
        top_up(admin, &parties, &submitters, &mut number).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let is_enough = || async {
            let leases = leases(admin, began, clock(admin).await?).await?;
            anyhow::Ok(leases.values().sum::<usize>() >= enough)
        };
        if Instant::now() >= too_late || (Instant::now() >= until && is_enough().await?) {
            break;
        }
    }
    let ended: f64 = clock(admin).await?;
    stop.store(true, Ordering::Release);
    try_join_all(workers).await?.into_iter().collect::<Result<()>>()?;

    let leases = leases(admin, began, ended).await?;
    let total: usize = leases.values().sum();
    ensure!(total >= enough, "{total} leases prove nothing");
    proof.counts(&[("leases", total), ("tenants", leases.len()), ("submitted", number)]);
    let violations = check(&parties, &leases, total);
    proof.conclude(violations);
    Ok(())
}

fn settings(parties: &[Party]) -> String {
    let mut toml = String::new();
    for Party { tenant, weight, .. } in parties {
        toml += &format!("[[fairness.tenants]]\ntenant = \"{tenant}\"\nweight = {weight}\n");
        toml += &format!("[[limits.projects]]\ntenant = \"{tenant}\"\nproject = \"{PROJECT}\"\nrunning = 1000\n");
    }
    toml
}

async fn clock(admin: &PgPool) -> Result<f64> {
    Ok(sqlx::query_scalar("SELECT extract(epoch FROM clock_timestamp())::float8").fetch_one(admin).await?)
}

/// Fills every queue to its backlog.
async fn top_up(
    admin: &PgPool,
    parties: &[Party],
    submitters: &BTreeMap<&str, Vec<Client>>,
    number: &mut usize,
) -> Result<()> {
    const BATCH_MAX: usize = 500;
    let waiting: Vec<(String, i64)> =
        sqlx::query_as("SELECT tenant_id, count(*) FROM jobs.job_queue GROUP BY tenant_id").fetch_all(admin).await?;
    let waiting: BTreeMap<String, i64> = waiting.into_iter().collect();
    let mut batches = Vec::new();
    for party in parties {
        let mut missing = party.backlog.saturating_sub(waiting.get(&party.tenant).copied().unwrap_or(0) as usize);
        while missing > 0 {
            let count = missing.min(BATCH_MAX);
            missing -= count;
            let jobs = (*number..*number + count).map(|n| submission("", PROJECT, &format!("key-{n}"), "{}")).collect();
            *number += count;
            let client = submitters[party.tenant.as_str()][batches.len() % 2].clone();
            batches.push(async move {
                let request = BatchSubmitJobsRequest { jobs };
                answered(
                    |mut client, request| async move { client.jobs.batch_submit_jobs(request).await },
                    &client,
                    &request,
                )
                .await
            });
        }
    }
    try_join_all(batches).await?;
    Ok(())
}

/// One job after the other.
async fn work(client: Client, stop: Arc<AtomicBool>) -> Result<()> {
    let request = LeaseJobsRequest {
        worker_id: "worker".to_owned(),
        intents: vec!["*".to_owned()],
        queues: vec![Queue::Project.into()],
        max_jobs: 1,
        wait: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
    };
    while !stop.load(Ordering::Acquire) {
        let leased =
            answered(|mut client, request| async move { client.workers.lease_jobs(request).await }, &client, &request)
                .await?;
        for LeasedJob { lease, .. } in leased.jobs {
            tokio::time::sleep(HOLD).await;
            let result = Some(Payload { data: b"{}".to_vec().into(), content_type: String::new() });
            let completion = CompleteJobRequest { lease, result };
            answered(
                |mut client, request| async move { client.workers.complete_job(request).await },
                &client,
                &completion,
            )
            .await?;
        }
    }
    Ok(())
}

/// A call until it is answered: on a machine that is slow enough the database is out of reach for a moment.
async fn answered<R: Clone, T, F>(call: impl Fn(Client, R) -> F, client: &Client, request: &R) -> Result<T>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let began = Instant::now();
    loop {
        match call(client.clone(), request.clone()).await {
            Ok(response) => return Ok(response.into_inner()),
            Err(status) if may_be_repeated(&Received::from_status(&status)) && began.elapsed() < SLOWEST => {
                tokio::time::sleep(RETRY_AFTER).await;
            }
            Err(status) => return Err(status.into()),
        }
    }
}

/// How many jobs of each tenant were leased, between two times of the database's clock.
async fn leases(admin: &PgPool, began: f64, ended: f64) -> Result<BTreeMap<String, usize>> {
    let counts: Vec<(String, i64)> = sqlx::query_as(
        "SELECT tenant_id, count(*) FROM jobs.job_events \
         WHERE to_state = 'running' AND occurred_at BETWEEN to_timestamp($1) AND to_timestamp($2) GROUP BY tenant_id",
    )
    .bind(began)
    .bind(ended)
    .fetch_all(admin)
    .await?;
    counts.into_iter().map(|(tenant, count)| Ok((tenant, usize::try_from(count).context("a count")?))).collect()
}

/// Who is below the floor by weight is raised to it, who is above the cap is cut to it, and the others share the rest by weight;
/// over again, until nobody of them is.
fn expected(parties: &[Party]) -> Vec<f64> {
    let floor = FLOOR.min(1.0 / parties.len() as f64);
    let mut fixed: Vec<Option<f64>> = vec![None; parties.len()];
    loop {
        let left = 1.0 - fixed.iter().flatten().sum::<f64>();
        let open = |index: &usize| fixed[*index].is_none();
        let weights: f64 = (0..parties.len()).filter(open).map(|index| f64::from(parties[index].weight)).sum();
        let shares: Vec<f64> = (0..parties.len())
            .map(|index| fixed[index].unwrap_or_else(|| left * f64::from(parties[index].weight) / weights))
            .collect();
        let low = (0..parties.len()).find(|index| open(index) && shares[*index] < floor);
        let high = (0..parties.len()).find(|index| open(index) && shares[*index] > CAP);
        match (high, low) {
            (Some(index), _) => fixed[index] = Some(CAP),
            (None, Some(index)) => fixed[index] = Some(floor),
            (None, None) => return shares,
        }
    }
}

fn check(parties: &[Party], leases: &BTreeMap<String, usize>, total: usize) -> Vec<String> {
    // A few leases more or less are the rounding of a run that ends.
    let slack = 4.0 / total as f64;
    let mut violations = Vec::new();
    for (party, expected) in parties.iter().zip(expected(parties)) {
        let share = leases.get(&party.tenant).copied().unwrap_or(0) as f64 / total as f64;
        println!("  {}: weight {}, expected {expected:.4}, had {share:.4}", party.tenant, party.weight);
        if (share - expected).abs() > TOLERANCE * expected + slack {
            violations.push(format!("share: {} was to have {expected:.4} and had {share:.4}", party.tenant));
        }
        if share + slack < FLOOR.min(1.0 / parties.len() as f64) * 0.98 {
            violations.push(format!("floor: {} had {share:.4}", party.tenant));
        }
        if share - slack > CAP * 1.02 {
            violations.push(format!("cap: {} had {share:.4}", party.tenant));
        }
    }
    violations
}

#[test]
fn a_share_that_is_missed_is_found() {
    let party = |weight| Party { tenant: format!("tenant-{weight}"), weight, backlog: 0 };
    let parties = [party(1), party(3)];
    let had = |one, other| BTreeMap::from([("tenant-1".to_owned(), one), ("tenant-3".to_owned(), other)]);
    assert_eq!(expected(&parties), [0.4, 0.6]);
    assert_eq!(check(&parties, &had(400, 600), 1000), [""; 0]);
    assert_eq!(check(&parties, &had(250, 750), 1000).len(), 3);
    assert_eq!(check(&parties, &had(0, 1000), 1000).len(), 4);
    let ten: Vec<Party> = (1..=10).map(party).collect();
    let shares = expected(&ten);
    assert!(
        shares.iter().all(|share| *share >= FLOOR) && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-9,
        "{shares:?}"
    );
}
