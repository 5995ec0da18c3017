//! The load that scenarios inflict their faults on: submitters in this process, workers as processes.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use holdfast_system_tests::{
    check::{jobs, serial, streams, tables},
    journal,
    proof::Proof,
    rig::Rig,
    submit::{Acknowledged, Submitter},
};
use holdfast_testkit::{Process, eventually};
use tokio::task::JoinHandle;

pub const TENANTS: [&str; 2] = ["acme", "globex"];
/// Everything that is under way ends within this, once the faults are over.
pub const SETTLES_WITHIN: Duration = Duration::from_secs(120);

const PROJECTS_PER_TENANT: usize = 6;
/// Serial, so that a project is a queue of jobs that exclude each other.
const SERIAL_PROJECTS: usize = 3;
/// A serial project takes its jobs one by one: it is given fewer.
const SERIAL_PAUSE: Duration = Duration::from_millis(120);

/// TOML: every project but the serial ones may run many jobs at once.
pub fn settings() -> String {
    let mut toml = String::new();
    for tenant in TENANTS {
        for project in SERIAL_PROJECTS..PROJECTS_PER_TENANT {
            toml +=
                &format!("[[limits.projects]]\ntenant = \"{tenant}\"\nproject = \"project-{project}\"\nrunning = 64\n");
        }
    }
    toml
}

fn is_serial(_tenant: &str, project: &str) -> bool {
    (0..SERIAL_PROJECTS).any(|serial| project == format!("project-{serial}"))
}

/// Submitters that go on until the proof's time is over; the first two, one of each tenant, for the serial projects.
pub fn submitters(
    rig: &Rig,
    proof: &Proof,
    until: Instant,
    count: u64,
    pause: Duration,
) -> Result<Vec<JoinHandle<Result<Acknowledged>>>> {
    let submitters = (0..count).map(|number| {
        let tenant = TENANTS[(number % 2) as usize];
        let (projects, pause) = match number {
            0 | 1 => (0..SERIAL_PROJECTS, SERIAL_PAUSE),
            _ => (SERIAL_PROJECTS..PROJECTS_PER_TENANT, pause),
        };
        let submitter = Submitter {
            name: format!("submitter-{number}"),
            tenant: tenant.to_owned(),
            projects: projects.map(|project| format!("project-{project}")).collect(),
            clients: rig.submitters("proof", tenant)?,
            pause,
        };
        Ok(tokio::spawn(submitter.run(until, proof.choices(1000 + number))))
    });
    submitters.collect()
}

pub async fn acknowledged(submitters: Vec<JoinHandle<Result<Acknowledged>>>) -> Result<Acknowledged> {
    let parts: Vec<Acknowledged> = try_join_all(submitters).await?.into_iter().collect::<Result<_>>()?;
    Ok(Acknowledged::merge(parts))
}

pub fn workers(rig: &Rig, proof: &Proof, count: usize) -> Result<Vec<Process>> {
    (0..count).map(|number| Process::start(rig.worker_spec(number, &TENANTS, proof.seed())?.process()?)).collect()
}

/// Awaits the end of every job and the publication of every event.
pub async fn settled(rig: &Rig) -> Result<()> {
    let admin = rig.stack.database.admin();
    let look = || async {
        let (unfinished, unpublished) = (tables::unfinished(admin).await?, tables::unpublished(admin, "jobs").await?);
        ensure!(unfinished == 0 && unpublished == 0, "{unfinished} jobs unfinished, {unpublished} events unpublished");
        anyhow::Ok(())
    };
    eventually(look, SETTLES_WITHIN).await
}

/// Everything that is checked after any load: submissions, answers, histories, serial projects.
pub async fn check(rig: &Rig, proof: &Proof, acknowledged: &Acknowledged) -> Result<Vec<String>> {
    let (jobs, histories) =
        (tables::jobs(rig.stack.database.admin()).await?, tables::histories(rig.stack.database.admin()).await?);
    let records = records(&rig.journals())?;
    let tally = jobs::Tally::of(&records);
    proof.counts(&[
        ("submissions acknowledged", acknowledged.jobs.len()),
        ("sent again", acknowledged.repeated),
        ("converged", acknowledged.converged),
        ("jobs", jobs.len()),
        ("transitions", histories.values().map(Vec::len).sum()),
    ]);
    proof.counts(&tally.counts());
    let mut violations = jobs::nothing_lost(acknowledged, &jobs);
    violations.extend(jobs::histories_whole(&jobs, &histories));
    violations.extend(jobs::answers_counted_once(&records, &jobs, &histories));
    violations.extend(serial::overlaps(&histories, is_serial));
    ensure!(tally.completed > 0 && !acknowledged.jobs.is_empty(), "nothing was done, so nothing is proved");
    Ok(violations)
}

fn records(journals: &Path) -> Result<Vec<journal::Record>> {
    journal::read_all(journals)
}

/// Every event is on its stream, in order.
pub async fn check_streams(rig: &Rig, proof: &Proof, redelivery: streams::Redelivery) -> Result<Vec<String>> {
    let admin = rig.stack.database.admin();
    let (outbox, histories) = (tables::outbox(admin, "jobs").await?, tables::histories(admin).await?);
    let entries = streams::read_all(&rig.stack.redis_primary().await?.url(), "jobs").await?;
    let events = histories.values().flatten().map(|event| event.event_id.as_str());
    let mut violations = streams::complete(&entries, &outbox, events);
    let (disorder, again) = streams::ordered(&entries, redelivery);
    violations.extend(disorder);
    proof.counts(&[("events", outbox.len()), ("stream entries", entries.len()), ("delivered again", again)]);
    Ok(violations)
}
