//! Random graphs of jobs while instances and workers are killed and paused, and some of the jobs withdrawn.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use futures::future::try_join_all;
use holdfast_fault::Received;
use holdfast_proto::jobs::v1::{
    BatchSubmitJobsRequest, CancelJobRequest, Dependency, OnFailure as Wire, SubmitJobRequest,
    batch_submit_jobs_result::Outcome, dependency,
};
use holdfast_system_tests::{
    check::{
        dags::{self, Node, OnFailure},
        jobs, tables,
    },
    client::{Client, may_be_repeated, submission},
    proof::Proof,
    rig::{Rig, RigSpec},
};
use holdfast_testkit::eventually;
use rand::{Rng as _, rngs::StdRng, seq::SliceRandom as _};

use crate::trouble::Faults;
use crate::{load, trouble};

const WORKERS: usize = 6;
const NODES: usize = 1000;
const BATCH: usize = 100;
const DEPENDENCIES_MAX: usize = 4;
const WITHDRAWN_PERCENT: u32 = 4;
const RETRY_AFTER: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_runs_too_early_and_nothing_waits_for_ever() -> Result<()> {
    let proof = Proof::begin("dags").await;
    let rig = Rig::start(RigSpec { settings: load::settings(), ..Default::default() }).await?;
    let session_timeout = trouble::idle_in_transaction_session_timeout(&rig).await?;
    let until = proof.deadline();
    let workers = load::workers(&rig, &proof, WORKERS)?;
    let of_workers =
        workers.iter().zip(0..).map(|(worker, number)| trouble::of_worker(worker, until, proof.choices(number)));
    let of_instances = trouble::of_instances(&rig.stack.jobs, session_timeout, until, proof.choices(100));
    let grown = grow(rig.submitters("proof", load::TENANTS[0])?, proof.choices(200));
    let (of_workers, of_instances, (nodes, withdrawn)) =
        tokio::try_join!(try_join_all(of_workers), of_instances, grown)?;
    settled(&rig).await?;

    let of_workers = of_workers.into_iter().fold(Faults::default(), Faults::plus);
    ensure!(of_workers.has_both() && of_instances.has_both(), "too little happened to prove anything");
    let admin = rig.stack.database.admin();
    let (rows, histories) = (tables::jobs(admin).await?, tables::histories(admin).await?);
    let count = |state: &str| rows.values().filter(|row| row.state == state).count();
    proof.counts(&[
        ("workers killed or paused", of_workers.killed + of_workers.paused),
        ("instances killed or paused", of_instances.killed + of_instances.paused),
        ("jobs", nodes.len()),
        ("dependencies", nodes.iter().map(|node| node.waits_for.len()).sum()),
        ("withdrawn", withdrawn.len()),
        ("done", count("done")),
        ("cancelled", count("cancelled")),
        ("blocked for good", count("blocked")),
    ]);
    ensure!(count("done") > 0 && count("cancelled") > withdrawn.len() / 2, "too little ended to prove anything");
    let mut violations = dags::violations(&nodes, &withdrawn, &rows, &histories);
    violations.extend(jobs::histories_whole(&rows, &histories));
    let deadlocks = trouble::deadlocks(&rig).await?;
    if deadlocks > 0 {
        violations.push(format!("locks: {deadlocks} transactions waited for each other in a circle"));
    }
    drop(workers);
    proof.conclude(violations);
    Ok(())
}

/// What a job waits for: earlier jobs by their number.
type Draft = Vec<(usize, OnFailure)>;

/// Submits the graph, batch by batch, and withdraws some of what it submitted.
async fn grow(clients: Vec<Client>, mut choices: StdRng) -> Result<(Vec<Node>, Vec<String>)> {
    let drafts: Vec<Draft> = (0..NODES).map(|number| draft(number, &mut choices)).collect();
    let (mut ids, mut withdrawn): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for batch in drafts.chunks(BATCH) {
        let own = submitted(&clients, &ids, batch, &mut choices).await?;
        for job_id in &own {
            if choices.random_range(0..100) < WITHDRAWN_PERCENT {
                withdraw(&clients, job_id, &mut choices).await?;
                withdrawn.push(job_id.clone());
            }
        }
        ids.extend(own);
    }
    let waits_for = |draft: &Draft| draft.iter().map(|(number, on)| (ids[*number].clone(), *on)).collect();
    let nodes = ids.iter().zip(&drafts);
    Ok((nodes.map(|(job_id, draft)| Node { job_id: job_id.clone(), waits_for: waits_for(draft) }).collect(), withdrawn))
}

fn draft(number: usize, choices: &mut StdRng) -> Draft {
    let count = choices.random_range(0..=DEPENDENCIES_MAX).min(number);
    let earlier = rand::seq::index::sample(choices, number, count);
    earlier
        .into_iter()
        .map(|earlier| {
            // What blocks for good blocks all behind it: few do, so that most of the graph is done.
            let on = match choices.random_range(0..20) {
                0 => OnFailure::Block,
                1..=6 => OnFailure::Cancel,
                _ => OnFailure::Run,
            };
            (earlier, on)
        })
        .collect()
}

/// Sends a batch, in any order, until each of its items is taken: it names items of its own by position, what was there before
/// by id. Answers the ids in the order of the drafts.
async fn submitted(clients: &[Client], ids: &[String], batch: &[Draft], choices: &mut StdRng) -> Result<Vec<String>> {
    let mut places: Vec<usize> = (0..batch.len()).collect();
    places.shuffle(choices);
    let mut requests = vec![SubmitJobRequest::default(); batch.len()];
    for (index, draft) in batch.iter().enumerate() {
        let number = ids.len() + index;
        let project = format!("project-{}", 3 + number % 3);
        let request = submission(load::TENANTS[0], &project, &format!("node-{number}"), "{}");
        let dependencies = draft.iter().map(|(earlier, on)| Dependency {
            on: Some(match ids.get(*earlier) {
                Some(job_id) => dependency::On::JobId(job_id.clone()),
                None => dependency::On::BatchItem(places[earlier - ids.len()] as i32),
            }),
            on_failure: match on {
                OnFailure::Block => Wire::Block,
                OnFailure::Cancel => Wire::Cancel,
                OnFailure::Run => Wire::Run,
            }
            .into(),
        });
        requests[places[index]] = SubmitJobRequest { dependencies: dependencies.collect(), ..request };
    }
    loop {
        let mut client = clients[choices.random_range(0..clients.len())].jobs.clone();
        let answer = client.batch_submit_jobs(BatchSubmitJobsRequest { jobs: requests.clone() }).await;
        match answer.map_err(|status| Received::from_status(&status)) {
            Ok(response) => {
                let taken = response.into_inner().results.into_iter().map(|result| match result.outcome {
                    Some(Outcome::Job(job)) => Ok(Some(job.job_id)),
                    Some(Outcome::Error(status)) => {
                        let received = Received::from_rpc(&status);
                        ensure!(may_be_repeated(&received), "an item was refused: {received:?}");
                        Ok(None)
                    }
                    None => bail!("an item without an outcome"),
                });
                if let Some(taken) = taken.collect::<Result<Option<Vec<String>>>>()? {
                    return Ok(places.iter().map(|place| taken[*place].clone()).collect());
                }
            }
            Err(received) => ensure!(may_be_repeated(&received), "a batch was refused: {received:?}"),
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// Cancels a job, wherever it stands by then.
pub async fn withdraw(clients: &[Client], job_id: &str, choices: &mut StdRng) -> Result<()> {
    let request = CancelJobRequest {
        job_id: job_id.to_owned(),
        reason: "withdrawn".to_owned(),
        idempotency_key: format!("withdraw-{job_id}"),
    };
    loop {
        let mut client = clients[choices.random_range(0..clients.len())].jobs.clone();
        match client.cancel_job(request.clone()).await.map_err(|status| Received::from_status(&status)) {
            Ok(_) => return Ok(()),
            Err(received) if received.code == tonic::Code::FailedPrecondition => return Ok(()),
            Err(received) => ensure!(may_be_repeated(&received), "a cancellation was refused: {received:?}"),
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// Awaits that nothing moves any more: what has not ended is blocked, and nobody is left to be told.
async fn settled(rig: &Rig) -> Result<()> {
    let look = || async {
        let sql = "SELECT (SELECT count(*) FROM jobs.jobs WHERE finished_at IS NULL AND state <> 'blocked'), \
             (SELECT count(*) FROM jobs.job_settlements)";
        let (moving, untold): (i64, i64) = sqlx::query_as(sql).fetch_one(rig.stack.database.admin()).await?;
        ensure!(moving == 0 && untold == 0, "{moving} jobs go on, {untold} ends are untold");
        anyhow::Ok(())
    };
    eventually(look, load::SETTLES_WITHIN).await
}
