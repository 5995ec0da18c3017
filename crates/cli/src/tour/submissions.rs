//! What the tour submits, and the log of what it was answered.

use std::{collections::BTreeMap, io::Write, path::Path};

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use holdfast_fault::{Reason, Received};
use holdfast_proto::jobs::v1::{
    DecideJobRequest, Decision, JobState, Payload, Queue, RiskTier, SubmitJobRequest, SubmitJobResponse,
};
use serde::Serialize;
use serde_json::json;
use tonic::Status;

use super::{INTENT, RETRY_PATIENCE, digest::Task, files::Repository, progress::Progress};
use crate::{
    connection::{CallError, Connection, persist},
    dev::{TENANT, TOUR_PARALLEL_PROJECTS, TOUR_SERIAL_PROJECT},
    exit::UsageError,
};

const CALLS_AT_ONCE: usize = 16;
/// One after the other takes time: a large repository would otherwise wait for this project alone.
const SERIAL_MAX: usize = 200;

#[derive(Clone, Debug)]
pub(super) struct Submission {
    path: String,
    project: &'static str,
    key: String,
    /// Sent twice, at the same time.
    is_doubled: bool,
    /// Sent again under the same key with another payload.
    is_contradicted: bool,
    /// Of tier C: it waits for a person, who approves it.
    is_dangerous: bool,
}

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) submissions: Vec<Submission>,
}

impl Plan {
    /// Every fifth file goes to the serial project, the others to the parallel ones in turn. Every fifth submission is
    /// doubled, every seventh contradicted; the last needs an approval.
    pub(super) fn of(repository: &Repository, run_id: &str) -> Result<Self, UsageError> {
        let submission = |(number, path): (usize, &String)| {
            let is_serial = number % 5 == 4 && number / 5 < SERIAL_MAX;
            let parallel = TOUR_PARALLEL_PROJECTS[number % TOUR_PARALLEL_PROJECTS.len()];
            Submission {
                path: path.clone(),
                project: if is_serial { TOUR_SERIAL_PROJECT } else { parallel },
                key: format!("tour-{run_id}-{number}"),
                is_doubled: number % 5 == 0,
                is_contradicted: number % 7 == 0,
                is_dangerous: number + 1 == repository.files.len(),
            }
        };
        let submissions: Vec<Submission> = repository.files.iter().enumerate().map(submission).collect();
        if submissions.len() < 2 * usize::from(super::fleet::VICTIM_CAPACITY) {
            return Err(UsageError(format!("git tracks {} files here; the tour needs at least 24", submissions.len())));
        }
        Ok(Self { submissions })
    }

    pub(super) fn len(&self) -> usize {
        self.submissions.len()
    }

    /// Takes the first jobs that may all run at once.
    pub(super) fn take_bait(&mut self, count: u16) -> anyhow::Result<Vec<Submission>> {
        let mut wanted = usize::from(count);
        let is_bait = |submission: &mut Submission| {
            let taken = wanted > 0 && submission.project != TOUR_SERIAL_PROJECT && !submission.is_dangerous;
            wanted -= usize::from(taken);
            taken
        };
        let bait: Vec<Submission> = self.submissions.extract_if(.., is_bait).collect();
        anyhow::ensure!(wanted == 0, "not enough files outside the serial project");
        Ok(bait)
    }
}

/// The submitter's log.
#[derive(Debug, Default)]
pub(super) struct Submitted {
    /// By job id.
    pub(super) jobs: BTreeMap<String, Acknowledged>,
    pub(super) replayed: usize,
    pub(super) conflicts: usize,
    pub(super) approved: usize,
    /// Answers that were not as they must be.
    pub(super) problems: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Acknowledged {
    pub(super) path: String,
    pub(super) project: &'static str,
    pub(super) key: String,
}

impl Submitted {
    pub(super) fn merge(&mut self, other: Self) {
        self.jobs.extend(other.jobs);
        self.replayed += other.replayed;
        self.conflicts += other.conflicts;
        self.approved += other.approved;
        self.problems.extend(other.problems);
    }

    pub(super) fn ids(&self) -> Vec<uuid::Uuid> {
        self.jobs.keys().filter_map(|job_id| job_id.parse().ok()).collect()
    }

    pub(super) fn write_log(&self, directory: &Path) -> anyhow::Result<()> {
        let path = directory.join("submissions.jsonl");
        let mut file = std::fs::File::create(&path).with_context(|| path.display().to_string())?;
        for (job_id, job) in &self.jobs {
            writeln!(
                file,
                "{}",
                json!({ "job_id": job_id, "path": job.path, "project": job.project, "key": job.key })
            )?;
        }
        Ok(())
    }
}

/// Submits all of it, several calls at once.
pub(super) async fn submit(
    connection: &Connection,
    submissions: Vec<Submission>,
    progress: &Progress,
) -> anyhow::Result<Submitted> {
    let outcomes = stream::iter(submissions).map(|submission| submit_one(connection, submission));
    outcomes
        .buffer_unordered(CALLS_AT_ONCE)
        .try_fold(Submitted::default(), |mut all, one| async move {
            progress.submitted(one.jobs.len());
            all.merge(one);
            Ok(all)
        })
        .await
}

async fn submit_one(connection: &Connection, submission: Submission) -> anyhow::Result<Submitted> {
    let mut log = Submitted::default();
    let first = async { call(connection, &submission, &submission.path).await.map_err(CallError::from) };
    let job = if submission.is_doubled {
        let (one, other) = tokio::try_join!(first, async {
            call(connection, &submission, &submission.path).await.map_err(CallError::from)
        })?;
        log.compare(&submission, &one, &other);
        one
    } else {
        first.await?
    };
    if submission.is_contradicted {
        let contradiction = call(connection, &submission, "another/path").await;
        log.expect_conflict(&submission, contradiction);
    }
    if submission.is_dangerous {
        log.approve(connection, &submission, &job).await?;
    }
    let Submission { path, project, key, .. } = submission;
    log.jobs.insert(job.job_id, Acknowledged { path, project, key });
    Ok(log)
}

impl Submitted {
    fn compare(&mut self, submission: &Submission, one: &SubmitJobResponse, other: &SubmitJobResponse) {
        if one.job_id != other.job_id {
            self.problems.push(format!("{} was sent twice and became two jobs", submission.path));
        }
        match usize::from(one.replayed) + usize::from(other.replayed) {
            0 => self.problems.push(format!("{} was sent twice and neither answer says so", submission.path)),
            _ => self.replayed += 1,
        }
    }

    /// It must be waiting, and is a person's to let go.
    async fn approve(
        &mut self,
        connection: &Connection,
        submission: &Submission,
        job: &SubmitJobResponse,
    ) -> Result<(), CallError> {
        if job.state() != JobState::WaitingHumanDecision {
            self.problems.push(format!("{} is of tier C and did not wait for a decision", submission.path));
        }
        let request = DecideJobRequest {
            job_id: job.job_id.clone(),
            decision: Decision::Approve.into(),
            reason: "seen on the tour".to_owned(),
            corrects: String::new(),
            idempotency_key: format!("{}-approval", submission.key),
        };
        let call = || async { connection.jobs().decide_job(connection.request(request.clone())).await };
        let decided = persist(RETRY_PATIENCE, call).await.map_err(CallError::from)?;
        self.approved += usize::from(decided.job.is_some_and(|job| job.state() != JobState::WaitingHumanDecision));
        Ok(())
    }

    fn expect_conflict(&mut self, submission: &Submission, answer: Result<SubmitJobResponse, Status>) {
        let what = match answer {
            Err(status) => match Received::from_status(&status).reason {
                Some(Reason::Job409IdempotencyConflict) => {
                    self.conflicts += 1;
                    return;
                }
                _ => format!("answered {status}"),
            },
            Ok(job) => format!("accepted as {}", job.job_id),
        };
        self.problems.push(format!("{} again with another payload was {what}", submission.path));
    }
}

/// One call; where the service asks for it, again.
async fn call(connection: &Connection, submission: &Submission, path: &str) -> Result<SubmitJobResponse, Status> {
    let request = request(submission, path)?;
    let call = || async { connection.jobs().submit_job(connection.request(request.clone())).await };
    persist(RETRY_PATIENCE, call).await
}

fn request(submission: &Submission, path: &str) -> Result<SubmitJobRequest, Status> {
    let task = Task { path: path.to_owned() };
    let data = serde_json::to_vec(&task).map_err(|error| Status::internal(error.to_string()))?;
    Ok(SubmitJobRequest {
        tenant_id: TENANT.to_owned(),
        project_id: submission.project.to_owned(),
        intent: INTENT.to_owned(),
        queue: Queue::Project.into(),
        tier: if submission.is_dangerous { RiskTier::C } else { RiskTier::A }.into(),
        idempotency_key: submission.key.clone(),
        payload: Some(Payload { data: data.into(), content_type: "application/json".to_owned() }),
        ..SubmitJobRequest::default()
    })
}
