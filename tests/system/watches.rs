//! Watchers of projects and of single jobs, while all that feeds them breaks: the instances that serve them, the relays, Redis
//! and its streams; and while transactions commit lower positions late.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use chrono::{TimeDelta, Utc};
use futures::future::try_join_all;
use holdfast_events::{Envelope, decode, encode};
use holdfast_fault::Received;
use holdfast_ids::{EventId, JobId};
use holdfast_proto::jobs::v1::{SubmitJobRequest, WatchJobsRequest, WatchedProject, watch_jobs_request::Scope};
use holdfast_system_tests::{
    check::{
        tables,
        watches::{Watched, violations},
    },
    client::{Client, submission},
    proof::Proof,
    rig::{Rig, RigSpec},
    submit,
};
use holdfast_testkit::Stack;
use prost_types::Timestamp;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use sqlx::{PgConnection, PgPool};
use tokio::{sync::watch, task::JoinSet};

use crate::relays::Fault;
use crate::{dags, load, relays, trouble};

const RELAYS: usize = 2;
const WORKERS: usize = 2;
const SUBMITTERS: u64 = 4;
/// A serial project, and one with many jobs at once, of each tenant.
const PROJECTS: [&str; 2] = ["project-0", "project-3"];
/// Of the jobs of a watched project, how many are watched by themselves too.
const JOBS_WATCHED_PERCENT: u32 = 10;
/// Pages so small that a resumption takes several, and nothing that is waited for long.
const SETTINGS: &str = "[watch]\npage_events_max = 4\nfeed_events_max = 64\nbookmark_period_ms = 500\npoll_ms = 300\n";
const OPEN_AGAIN_AFTER: Duration = Duration::from_millis(50);
const CATCHES_UP_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn no_watcher_misses_a_transition() -> Result<()> {
    let proof = Proof::begin("watches").await;
    let settings = format!("{}{SETTINGS}", load::settings());
    let rig = Rig::start(RigSpec { relays: RELAYS, settings, ..Default::default() }).await?;
    let session_timeout = trouble::idle_in_transaction_session_timeout(&rig).await?;
    // From before the first job on.
    let (settled, is_settled) = watch::channel(false);
    let mut watchers = JoinSet::new();
    for (number, (tenant, project)) in (300..).zip(watched_projects()) {
        let mut watcher = Watcher::of_project(&rig, tenant, project, proof.choices(number))?;
        watcher.begin().await?;
        watchers.spawn(watcher.follow(is_settled.clone()));
    }

    let until = proof.deadline();
    let workers = load::workers(&rig, &proof, WORKERS)?;
    let submitters = load::submitters(&rig, &proof, until, SUBMITTERS, Duration::from_millis(20))?;
    let of_instances = trouble::of_instances(&rig.stack.jobs, session_timeout, until, proof.choices(100));
    let faults_of_relays = [Fault::Pause, Fault::Kill];
    let of_relays = rig.stack.relays.iter().zip(faults_of_relays).zip(200..);
    let of_relays =
        of_relays.map(|((relay, fault), number)| relays::trouble(relay, fault, until, proof.choices(number)));
    let lost = lose(&rig, until, proof.choices(0));
    let late = commit_late(&rig, until, proof.choices(1));
    let (of_instances, of_relays, lost, late) = tokio::try_join!(of_instances, try_join_all(of_relays), lost, late)?;
    load::acknowledged(submitters).await?;
    load::settled(&rig).await?;
    drop(workers);
    settled.send(true)?;
    let mut all = Vec::new();
    while let Some(of_project) = watchers.join_next().await {
        all.push(of_project??);
    }

    ensure!(of_instances.has_both(), "too little happened to prove anything");
    proof.counts(&[
        ("instances killed or paused", of_instances.killed + of_instances.paused),
        ("relays killed or paused", of_relays.into_iter().sum()),
        ("Redis killed", lost.killed),
        ("flushed", lost.flushed),
        ("streams trimmed", lost.trimmed),
        ("committed late", late),
    ]);
    let violations = check(&rig, &proof, &all).await?;
    proof.conclude(violations);
    Ok(())
}

fn watched_projects() -> impl Iterator<Item = (&'static str, &'static str)> {
    load::TENANTS.into_iter().flat_map(|tenant| PROJECTS.map(|project| (tenant, project)))
}

/// Every watcher against the history of what it watched.
async fn check(rig: &Rig, proof: &Proof, all: &[OfProject]) -> Result<Vec<String>> {
    let histories = tables::histories(rig.stack.database.admin()).await?;
    let (mut found, mut again, mut transitions) = (Vec::new(), 0, 0);
    for OfProject { tenant, project, watched, jobs } in all {
        let of_project = |row: &&tables::EventRow| (&row.tenant_id, &row.project_id) == (tenant, project);
        transitions += histories.values().flatten().filter(of_project).count();
        let (own, repeated) = violations(watched, histories.values().flatten().filter(of_project));
        found.extend(own);
        again += repeated;
        for (job_id, watched) in jobs {
            let (own, repeated) = violations(watched, histories.get(job_id).into_iter().flatten());
            found.extend(own);
            again += repeated;
        }
    }
    let jobs = || all.iter().flat_map(|of_project| &of_project.jobs);
    let lives = |watched: &Watched| watched.lives.len();
    let resumed: usize = all.iter().map(|of_project| lives(&of_project.watched) - 1).sum();
    let resumed_of_jobs: usize = jobs().map(|(_, watched)| lives(watched) - 1).sum();
    proof.counts(&[
        ("projects watched", all.len()),
        ("transitions", transitions),
        ("resumptions", resumed),
        ("jobs watched", jobs().count()),
        ("resumptions of those", resumed_of_jobs),
        ("came again", again),
    ]);
    // A job's watch may well be over before anything breaks it.
    ensure!(resumed > all.len() && jobs().count() > 0 && transitions > 0, "too little happened to prove anything");
    Ok(found)
}

struct OfProject {
    tenant: String,
    project: String,
    watched: Watched,
    /// By their ids.
    jobs: Vec<(String, Watched)>,
}

/// Takes what comes, on one instance after the other, and notes it.
struct Watcher {
    clients: Vec<Client>,
    scope: Scope,
    token: String,
    watched: Watched,
    choices: StdRng,
}

/// How a life of a watch came to its end.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Nothing more comes.
    Over,
    /// It broke, or was left in the middle.
    Broken,
}

impl Watcher {
    fn of_project(rig: &Rig, tenant: &'static str, project: &'static str, choices: StdRng) -> Result<Self> {
        let scope = WatchedProject { tenant_id: tenant.to_owned(), project_id: project.to_owned() };
        Ok(Self {
            clients: rig.submitters("proof", tenant)?,
            scope: Scope::Project(scope),
            token: String::new(),
            watched: Watched { name: format!("the watcher of {tenant}/{project}"), lives: Vec::new() },
            choices,
        })
    }

    fn of_job(clients: Vec<Client>, job_id: String, choices: StdRng) -> Self {
        let watched = Watched { name: format!("the watcher of job {job_id}"), lives: Vec::new() };
        Self { clients, scope: Scope::JobId(job_id), token: String::new(), watched, choices }
    }

    /// Takes its place.
    async fn begin(&mut self) -> Result<()> {
        let began = Instant::now();
        while self.token.is_empty() {
            self.live(true, CATCHES_UP_WITHIN).await?;
            ensure!(began.elapsed() < CATCHES_UP_WITHIN, "{} does not begin", self.watched.name);
        }
        Ok(())
    }

    /// Follows the project until everything has settled, then takes what is left. Some of its jobs get a watcher of their own.
    async fn follow(mut self, is_settled: watch::Receiver<bool>) -> Result<OfProject> {
        let mut of_jobs = JoinSet::new();
        while !*is_settled.borrow() {
            let lives_before = self.watched.lives.len();
            self.live_for_a_while().await?;
            for job_id in self.queued_since(lives_before) {
                if self.choices.random_range(0..100) < JOBS_WATCHED_PERCENT {
                    let choices = StdRng::seed_from_u64(self.choices.random());
                    of_jobs.spawn(Self::of_job(self.clients.clone(), job_id, choices).followed_to_its_end());
                }
            }
        }
        let began = Instant::now();
        while self.live(true, CATCHES_UP_WITHIN).await? == End::Broken {
            ensure!(began.elapsed() < CATCHES_UP_WITHIN, "{} does not catch up", self.watched.name);
        }
        let mut jobs = Vec::new();
        while let Some(of_job) = of_jobs.join_next().await {
            jobs.push(of_job??);
        }
        let Scope::Project(WatchedProject { tenant_id, project_id }) = self.scope else { bail!("not of a project") };
        Ok(OfProject { tenant: tenant_id, project: project_id, watched: self.watched, jobs })
    }

    fn queued_since(&self, lives_before: usize) -> Vec<String> {
        let events = self.watched.lives[lives_before..].iter().flatten();
        events.filter(|event| event.seq == 1).map(|event| event.job_id.clone()).collect()
    }

    /// Follows the job to its end, from its first transition on.
    async fn followed_to_its_end(mut self) -> Result<(String, Watched)> {
        let began = Instant::now();
        while self.live_for_a_while().await? == End::Broken {
            ensure!(began.elapsed() < load::SETTLES_WITHIN, "{} does not end", self.watched.name);
        }
        let Scope::JobId(job_id) = self.scope else { bail!("not of a job") };
        Ok((job_id, self.watched))
    }

    /// On an instance that may be paused or killed, so not for long.
    async fn live_for_a_while(&mut self) -> Result<End> {
        let patience = Duration::from_millis(self.choices.random_range(100..1500));
        self.live(false, patience).await
    }

    async fn live(&mut self, catch_up_only: bool, patience: Duration) -> Result<End> {
        let until = tokio::time::Instant::now() + patience;
        let request = WatchJobsRequest {
            scope: Some(self.scope.clone()),
            resume_token: self.token.clone(),
            from_start: true,
            catch_up_only,
            ..Default::default()
        };
        let mut client = self.clients[self.choices.random_range(0..self.clients.len())].watches.clone();
        let mut messages = match tokio::time::timeout_at(until, client.watch_jobs(request)).await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => {
                may_break(&status)?;
                tokio::time::sleep(OPEN_AGAIN_AFTER).await;
                return Ok(End::Broken);
            }
            Err(_) => return Ok(End::Broken),
        };
        let mut life = Vec::new();
        let end = loop {
            match tokio::time::timeout_at(until, messages.message()).await {
                Ok(Ok(Some(message))) => {
                    self.token = message.resume_token;
                    life.extend(message.events.into_iter().map(Into::into));
                }
                Ok(Ok(None)) => break End::Over,
                Ok(Err(status)) => {
                    may_break(&status)?;
                    break End::Broken;
                }
                Err(_) => break End::Broken,
            }
        };
        self.watched.lives.push(life);
        Ok(end)
    }
}

/// Whatever a fault may do to a connection; the service itself says why it ends a watch, and that it can be resumed.
fn may_break(status: &tonic::Status) -> Result<()> {
    let received = Received::from_status(status);
    ensure!(received.reason.is_none() || received.retryable(), "a watch was refused: {status:?}");
    Ok(())
}

#[derive(Debug, Default)]
struct Lost {
    trimmed: usize,
    killed: usize,
    flushed: usize,
}

/// By turns, so that even the shortest run has all three.
async fn lose(rig: &Rig, until: Instant, mut choices: StdRng) -> Result<Lost> {
    let mut lost = Lost::default();
    while Instant::now() < until || lost.flushed == 0 {
        tokio::time::sleep(Duration::from_millis(choices.random_range(200..1200))).await;
        if lost.trimmed <= lost.killed {
            // But for the newest entry: so nothing looks lost to the relays.
            for shard in 0..holdfast_events::SHARDS {
                let command = format!("XTRIM {{{}:jobs:{shard}}}:events MAXLEN 1", Stack::REDIS_PREFIX);
                rig.stack.redis.command(&command).await?;
            }
            lost.trimmed += 1;
        } else if lost.killed <= lost.flushed {
            rig.stack.redis.kill().await?;
            tokio::time::sleep(Duration::from_millis(choices.random_range(0..500))).await;
            rig.stack.redis.restart().await?;
            lost.killed += 1;
        } else {
            rig.stack.redis.flush().await?;
            lost.flushed += 1;
        }
    }
    Ok(lost)
}

/// Moves jobs of a watched project as the service would, in transactions that draw their positions early and commit late,
/// while others draw higher ones. Nobody else moves these jobs: they are not to run yet, and are cancelled in the end.
async fn commit_late(rig: &Rig, until: Instant, mut choices: StdRng) -> Result<usize> {
    let clients = rig.submitters("proof", load::TENANTS[0])?;
    let later = Utc::now() + TimeDelta::hours(1);
    let run_after = Some(Timestamp { seconds: later.timestamp(), nanos: 0 });
    let mut late = 0;
    while Instant::now() < until || late == 0 {
        let request = submission(load::TENANTS[0], PROJECTS[1], &format!("late-{late}"), "{}");
        let request = SubmitJobRequest { run_after, ..request };
        let job_id = submit::answered(&clients, &request, &mut choices).await?.response.job_id;
        let open_for = Duration::from_millis(choices.random_range(50..600));
        second_transition(rig.stack.database.admin(), &job_id, open_for).await?;
        dags::withdraw(&clients, &job_id, &mut choices).await?;
        late += 1;
    }
    Ok(late)
}

async fn second_transition(admin: &PgPool, job_id: &str, open_for: Duration) -> Result<()> {
    let mut tx = admin.begin().await?;
    insert(&mut tx, job_id).await?;
    tokio::time::sleep(open_for).await;
    Ok(tx.commit().await?)
}

async fn insert(tx: &mut PgConnection, job_id: &str) -> Result<()> {
    let (job, event_id) = (JobId::parse(job_id)?.as_uuid(), EventId::new());
    sqlx::query("UPDATE jobs.jobs SET seq = 2 WHERE job_id = $1").bind(job).execute(&mut *tx).await?;
    let history =
        "INSERT INTO jobs.job_events (job_id, seq, tenant_id, project_id, event_id, from_state, to_state, attempt,
             fence, actor_id, detail, occurred_at, request_id, traceparent)
         SELECT job_id, 2, tenant_id, project_id, $2, 'queued', 'queued', attempt, fence, actor_id, detail,
             clock_timestamp(), request_id, traceparent
         FROM jobs.job_events WHERE job_id = $1 AND seq = 1";
    sqlx::query(history).bind(job).bind(event_id.as_uuid()).execute(&mut *tx).await?;
    let first: Vec<u8> = sqlx::query_scalar("SELECT event_payload FROM jobs.outbox WHERE ordering_key = $1")
        .bind(job_id)
        .fetch_one(&mut *tx)
        .await?;
    let envelope = Envelope { event_id: event_id.to_string(), key_seq: 2, ..decode(&first)? };
    let event =
        "INSERT INTO jobs.outbox (slot, outbox_id, shard, tenant_id, project_id, ordering_key, key_seq, event_name,
             event_payload, traceparent, created_at)
         SELECT slot, $2, shard, tenant_id, project_id, ordering_key, 2, event_name, $3, traceparent, clock_timestamp()
         FROM jobs.outbox WHERE ordering_key = $1 AND key_seq = 1";
    sqlx::query(event).bind(job_id).bind(event_id.as_uuid()).bind(encode(&envelope)).execute(&mut *tx).await?;
    Ok(())
}
