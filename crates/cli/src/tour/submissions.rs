//! What the tour submits, and the log of what it was answered.

use std::{collections::BTreeMap, io::Write, path::Path};

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use holdfast_client::{
    Client, Decision, Error, IdempotencyKey, JobState, NewDecision, NewJob, OnFailure, Reason, RiskTier,
    Submitted as SubmittedJob, json as json_payload,
};
use serde::Serialize;
use serde_json::json;

use super::{INTENT, digest::Task, files::Repository, progress::Progress};
use crate::{
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
    key: IdempotencyKey,
    /// Sent twice, at the same time.
    is_doubled: bool,
    /// Sent again under the same key with another payload.
    is_contradicted: bool,
    /// Of tier C: it waits for a person, who approves it.
    is_dangerous: bool,
    /// Jobs that have to end first.
    after: Vec<String>,
    /// Its worker reports what it has used.
    is_metered: bool,
}

/// Two jobs, and one that waits for both.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) first: Vec<String>,
    pub(super) last: String,
}

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) submissions: Vec<Submission>,
}

impl Plan {
    /// Every fifth file goes to the serial project, the others to the parallel ones in turn. Every fifth submission is
    /// doubled, every seventh contradicted; the last needs an approval.
    pub(super) fn of(repository: &Repository, run_id: &str) -> Result<Self, UsageError> {
        let key = |run_id: &str, number| {
            IdempotencyKey::new(&format!("tour-{run_id}-{number}")).map_err(|error| UsageError(error.to_string()))
        };
        let submission = |(number, path): (usize, &String)| {
            let is_serial = number % 5 == 4 && number / 5 < SERIAL_MAX;
            let parallel = TOUR_PARALLEL_PROJECTS[number % TOUR_PARALLEL_PROJECTS.len()];
            Ok(Submission {
                path: path.clone(),
                project: if is_serial { TOUR_SERIAL_PROJECT } else { parallel },
                key: key(run_id, number)?,
                is_doubled: number % 5 == 0,
                is_contradicted: number % 7 == 0,
                is_dangerous: number + 1 == repository.files.len(),
                after: Vec::new(),
                is_metered: false,
            })
        };
        let submissions: Vec<Submission> =
            repository.files.iter().enumerate().map(submission).collect::<Result<_, UsageError>>()?;
        if submissions.len() < 2 * usize::from(super::fleet::VICTIM_CAPACITY) {
            return Err(UsageError(format!("git tracks {} files here; the tour needs at least 24", submissions.len())));
        }
        Ok(Self { submissions })
    }

    pub(super) fn len(&self) -> usize {
        self.submissions.len()
    }

    /// Takes the first jobs that may all run at once.
    pub(super) fn take(&mut self, count: u16) -> anyhow::Result<Vec<Submission>> {
        let mut wanted = usize::from(count);
        let is_one = |submission: &mut Submission| {
            let taken = wanted > 0 && submission.project != TOUR_SERIAL_PROJECT && !submission.is_dangerous;
            wanted -= usize::from(taken);
            taken
        };
        let taken: Vec<Submission> = self.submissions.extract_if(.., is_one).collect();
        anyhow::ensure!(wanted == 0, "not enough files outside the serial project");
        Ok(taken)
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
    client: &Client,
    submissions: Vec<Submission>,
    progress: &Progress,
) -> anyhow::Result<Submitted> {
    let outcomes = stream::iter(submissions).map(|submission| submit_one(client, submission));
    outcomes
        .buffer_unordered(CALLS_AT_ONCE)
        .try_fold(Submitted::default(), |mut all, one| async move {
            progress.submitted(one.jobs.len());
            all.merge(one);
            Ok(all)
        })
        .await
}

/// Submits jobs of which the last waits for the others, and is metered. Nobody may be there yet to do them: so it is certain
/// that it has to wait.
pub(super) async fn submit_graph(
    client: &Client,
    mut submissions: Vec<Submission>,
    progress: &Progress,
) -> anyhow::Result<(Submitted, Graph)> {
    let last = submissions.pop().context("a graph has a last job")?;
    let mut submitted = submit(client, submissions, progress).await?;
    let first: Vec<String> = submitted.jobs.keys().cloned().collect();
    let last = Submission { after: first.clone(), is_metered: true, ..last };
    let of_last = submit(client, vec![last], progress).await?;
    let last = of_last.jobs.keys().next().cloned().context("the last job has an id")?;
    submitted.merge(of_last);
    Ok((submitted, Graph { first, last }))
}

async fn submit_one(client: &Client, submission: Submission) -> anyhow::Result<Submitted> {
    let (mut log, jobs) = (Submitted::default(), client.jobs());
    let first = jobs.submit(submission.job(&submission.path)?);
    let job = if submission.is_doubled {
        let other = jobs.submit(submission.job(&submission.path)?);
        let (one, other) = tokio::try_join!(first, other)?;
        log.compare(&submission, &one, &other);
        one
    } else {
        first.await?
    };
    if submission.is_contradicted {
        let contradiction = jobs.submit(submission.job("another/path")?).await;
        log.expect_conflict(&submission, contradiction);
    }
    if submission.is_dangerous {
        log.approve(client, &submission, &job).await?;
    }
    if !submission.after.is_empty() && job.state != JobState::Blocked {
        log.problems.push(format!("{} waits for other jobs and was not blocked", submission.path));
    }
    let Submission { path, project, key, .. } = submission;
    log.jobs.insert(job.job_id, Acknowledged { path, project, key: key.to_string() });
    Ok(log)
}

impl Submission {
    fn job(&self, path: &str) -> Result<NewJob, serde_json::Error> {
        let payload = json_payload(&Task { path: path.to_owned(), is_metered: self.is_metered })?;
        Ok(NewJob {
            // Whatever becomes of them.
            after: self.after.iter().map(|job_id| (job_id.clone(), OnFailure::Run)).collect(),
            tenant: Some(TENANT.to_owned()),
            tier: if self.is_dangerous { RiskTier::C } else { RiskTier::A },
            ..NewJob::new(self.project, INTENT, self.key.clone(), payload)
        })
    }
}

impl Submitted {
    fn compare(&mut self, submission: &Submission, one: &SubmittedJob, other: &SubmittedJob) {
        if one.job_id != other.job_id {
            self.problems.push(format!("{} was sent twice and became two jobs", submission.path));
        }
        match usize::from(one.replayed) + usize::from(other.replayed) {
            0 => self.problems.push(format!("{} was sent twice and neither answer says so", submission.path)),
            _ => self.replayed += 1,
        }
    }

    /// It must be waiting, and is a person's to let go.
    async fn approve(&mut self, client: &Client, submission: &Submission, job: &SubmittedJob) -> Result<(), Error> {
        if job.state != JobState::WaitingHumanDecision {
            self.problems.push(format!("{} is of tier C and did not wait for a decision", submission.path));
        }
        let decision = NewDecision {
            decision: Decision::Approve,
            reason: "seen on the tour".to_owned(),
            corrects: None,
            key: submission.key.child("approval"),
        };
        let decided = client.jobs().decide(&job.job_id, decision).await?;
        self.approved += usize::from(decided.job.state() != JobState::WaitingHumanDecision);
        Ok(())
    }

    fn expect_conflict(&mut self, submission: &Submission, answer: Result<SubmittedJob, Error>) {
        let what = match answer {
            Err(error) if error.is(Reason::Job409IdempotencyConflict) => {
                self.conflicts += 1;
                return;
            }
            Err(error) => format!("answered {error}"),
            Ok(job) => format!("accepted as {}", job.job_id),
        };
        self.problems.push(format!("{} again with another payload was {what}", submission.path));
    }
}
