//! Compares what the clients wrote down with the API, the tables, the streams and the files.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, future::try_join_all, stream};
use holdfast_client::{
    BudgetOf, Client, Error, JobState, Reason,
    pb::{Job, JobEvent},
    time,
};
use uuid::Uuid;

use super::{
    digest::Digest,
    files::Repository,
    fleet::VICTIM,
    follower::Followed,
    journal::Entry,
    report::Report,
    submissions::{Acknowledged, Graph, Submitted},
    tables::{JobRow, Tables},
};
use crate::{dev::TENANT, present};

const CALLS_AT_ONCE: usize = 16;

pub(super) struct Evidence<'a> {
    pub(super) run_id: &'a str,
    pub(super) repository: &'a Repository,
    pub(super) submitted: &'a Submitted,
    pub(super) graph: &'a Graph,
    pub(super) journals: Vec<(&'static str, &'a [Entry])>,
    pub(super) followed: &'a Followed,
    pub(super) client: &'a Client,
}

pub(super) async fn reckon(evidence: &Evidence<'_>, tables: &mut Tables) -> anyhow::Result<Report> {
    let submitted = evidence.submitted;
    let ids = submitted.ids();
    let rows = tables.jobs(&ids).await?;
    // Those that the graph begins with were submitted before there was anybody to do them.
    let waited = |id: &Uuid| evidence.graph.first.contains(&id.to_string());
    let pickup = tables.pickup(&ids.iter().copied().filter(|id| !waited(id)).collect::<Vec<_>>()).await?;
    let journals = Journals::read(&evidence.journals);
    let answers = ask_for_all(evidence.client, submitted).await?;

    let mut report = Report {
        run_id: evidence.run_id.to_owned(),
        files_skipped: evidence.repository.skipped,
        submitted: submitted.jobs.len(),
        replayed: submitted.replayed,
        conflicts_refused: submitted.conflicts,
        approved: submitted.approved,
        events_written: evidence.followed.written,
        events_read: evidence.followed.read,
        pickup_p50_ms: pickup.p50_ms,
        pickup_p99_ms: pickup.p99_ms,
        problems: submitted.problems.iter().chain(&evidence.followed.problems).cloned().collect(),
        ..Report::default()
    };
    for (job_id, job) in &submitted.jobs {
        let row = job_id.parse::<Uuid>().ok().and_then(|id| rows.get(&id));
        let answer = answers.get(job_id).and_then(Option::as_ref);
        report.judge_job(evidence.repository, job_id, job, row, answer);
        report.judge_completions(job_id, row, journals.completions.get(job_id.as_str()));
    }
    report.judge_kill(&journals, &rows);
    if answers.get(&evidence.graph.last).and_then(Option::as_ref).is_some_and(|last| last.state() == JobState::Done) {
        report.judge_graph(evidence).await?;
    }
    report.judge_totals(evidence.repository);
    Ok(report)
}

/// What all workers' journals say together.
struct Journals<'a> {
    /// Leases under which a completion was acknowledged as the first, by job.
    completions: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// Jobs that the killed worker held at its end.
    held_at_kill: BTreeSet<&'a str>,
}

impl<'a> Journals<'a> {
    fn read(journals: &[(&'static str, &'a [Entry])]) -> Self {
        let mut read = Self { completions: BTreeMap::new(), held_at_kill: BTreeSet::new() };
        for (worker, entries) in journals {
            for entry in *entries {
                read.take(worker, entry);
            }
        }
        read
    }

    fn take(&mut self, worker: &str, entry: &'a Entry) {
        match entry {
            Entry::Acknowledged { lease, state, .. } if state == "done" => {
                self.completions.entry(&lease.job_id).or_default().insert(&lease.lease_id);
            }
            Entry::Leased { lease, .. } if worker == VICTIM => {
                self.held_at_kill.insert(&lease.job_id);
            }
            Entry::Revoked { lease, .. } if worker == VICTIM => {
                self.held_at_kill.remove(lease.job_id.as_str());
            }
            _ => {}
        }
    }
}

/// Every job as the API tells it; `None` where it says that there is none.
async fn ask_for_all(client: &Client, submitted: &Submitted) -> Result<BTreeMap<String, Option<Job>>, Error> {
    let calls = stream::iter(submitted.jobs.keys().cloned()).map(|job_id| async move {
        match client.jobs().get(&job_id).await {
            Ok(job) => Ok((job_id, Some(job))),
            Err(error) if error.is(Reason::Job404NotFound) => Ok((job_id, None)),
            Err(error) => Err(error),
        }
    });
    calls.buffer_unordered(CALLS_AT_ONCE).try_collect().await
}

/// When the job first ran, and when it ended, as the API tells its history.
async fn ask_for_times(client: &Client, job_id: &str) -> Result<[Option<DateTime<Utc>>; 2], Error> {
    let events: Vec<JobEvent> = client.jobs().events(job_id).try_collect().await?;
    let began = events.iter().find(|event| event.to_state() == JobState::Running);
    let at = |event: Option<&JobEvent>| event.and_then(|event| time(event.occurred_at.as_ref()));
    Ok([at(began), at(events.last())])
}

impl Report {
    /// The job that waited for others began when they had ended, and what its worker reported was counted, once.
    async fn judge_graph(&mut self, evidence: &Evidence<'_>) -> anyhow::Result<()> {
        let Evidence { graph, client, .. } = evidence;
        let [began, _] = ask_for_times(client, &graph.last).await?;
        let ends = graph.first.iter().map(|job_id| ask_for_times(client, job_id));
        let ended: Option<Vec<_>> = try_join_all(ends).await?.into_iter().map(|[_, ended]| ended).collect();
        let gap = began.zip(ended.and_then(|ended| ended.into_iter().max())).map(|(began, ended)| began - ended);
        self.graph_gap_ms = gap.and_then(|gap| gap.num_microseconds()).map(|gap_us| gap_us as f64 / 1_000.0);
        if self.graph_gap_ms.is_none_or(|gap_ms| gap_ms < 0.0) {
            self.problems.push(format!("job {} began before those that it waits for had ended", graph.last));
        }

        let path = evidence.submitted.jobs.get(&graph.last).map_or("", |job| job.path.as_str());
        self.usage_reported = Digest::directly(evidence.repository.root(), path)?.usage().input_tokens.into();
        let budget = client.usage().budget(TENANT, BudgetOf::Job(&graph.last)).await?;
        self.usage_counted = budget.tokens.map_or(0, |tokens| tokens.used);
        if self.usage_counted != self.usage_reported {
            let (counted, reported) = (self.usage_counted, self.usage_reported);
            self.problems.push(format!("job {} used {reported} tokens, and {counted} were counted", graph.last));
        }
        Ok(())
    }

    /// A job that was acknowledged is done, says the API; so say the tables, with the same result; and the result is right.
    fn judge_job(
        &mut self,
        repository: &Repository,
        job_id: &str,
        job: &Acknowledged,
        row: Option<&JobRow>,
        answer: Option<&Job>,
    ) {
        let told = answer.map_or_else(|| "unknown".to_owned(), |answer| present::state_name(answer.state));
        let held = row.map_or("unknown", |row| row.state.as_str());
        if answer.is_none_or(|answer| answer.state() != JobState::Done) || held != "done" {
            self.lost += 1;
            self.problems.push(format!("job {job_id} ({}) is {told} by the API and {held} in the tables", job.path));
            return;
        }
        self.done += 1;
        let result = answer.and_then(|answer| answer.result.as_ref()).map(|result| result.data.as_ref());
        let digest = result.and_then(|data| serde_json::from_slice::<Digest>(data).ok());
        let direct = Digest::directly(repository.root(), &job.path).ok();
        if digest != direct || result != row.and_then(|row| row.result.as_deref()) {
            self.wrong_digests += 1;
            self.problems.push(format!("the result of job {job_id} ({}) is not the file's digest", job.path));
        }
    }

    /// One job is done once: by one acknowledged lease, by one row of its history.
    fn judge_completions(&mut self, job_id: &str, row: Option<&JobRow>, leases: Option<&BTreeSet<&str>>) {
        let acknowledged = leases.map_or(0, BTreeSet::len);
        let recorded = row.map_or(0, |row| row.done_events);
        if acknowledged > 1 || recorded > 1 {
            self.done_twice += 1;
            self.problems
                .push(format!("job {job_id} was done under {acknowledged} leases and {recorded} times in its history"));
        }
    }

    /// What the killed worker held was lost with it, and tried again.
    fn judge_kill(&mut self, journals: &Journals<'_>, rows: &BTreeMap<Uuid, JobRow>) {
        let was_retried = |job_id: &&&str| {
            job_id.parse::<Uuid>().ok().and_then(|id| rows.get(&id)).is_some_and(|row| row.retrying_events > 0)
        };
        let held = journals.held_at_kill.len();
        self.retried_after_kill = journals.held_at_kill.iter().filter(was_retried).count();
        if self.retried_after_kill == 0 || self.retried_after_kill < held {
            let retried = self.retried_after_kill;
            self.problems.push(format!("the killed worker held {held} jobs, and {retried} of them were tried again"));
        }
    }

    fn judge_totals(&mut self, repository: &Repository) {
        if self.submitted != repository.files.len() {
            self.problems.push(format!("{} files became {} jobs", repository.files.len(), self.submitted));
        }
        if self.events_read != self.events_written {
            self.problems.push(format!("{} events were written and {} read", self.events_written, self.events_read));
        }
        if self.replayed == 0 || self.conflicts_refused == 0 {
            self.problems.push("nothing was replayed, or no conflict refused".to_owned());
        }
        if self.approved == 0 {
            self.problems.push("nothing waited for a decision and was approved".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tour::journal::Lease;

    fn lease(job: &str, lease: &str) -> Lease {
        Lease { job_id: job.into(), lease_id: lease.into(), fencing_token: 1 }
    }

    fn done(job: &str, under: &str, replayed: bool) -> Entry {
        Entry::Acknowledged { lease: lease(job, under), state: "done".into(), replayed }
    }

    #[test]
    fn a_repeated_answer_is_one_completion_and_a_second_lease_is_another() {
        let (one, other) =
            ([done("j", "a", false), done("j", "a", true)], [done("k", "b", false), done("k", "c", false)]);
        let journals = Journals::read(&[("w1", &one), ("w2", &other)]);
        let mut report = Report::default();
        report.judge_completions("j", None, journals.completions.get("j"));
        assert_eq!(report.done_twice, 0);
        report.judge_completions("k", None, journals.completions.get("k"));
        assert_eq!(report.done_twice, 1);
    }

    #[test]
    fn a_kill_without_a_retry_is_off() {
        let entries = [Entry::Leased { lease: lease("0190b5a0-0000-7000-8000-000000000000", "a"), attempt: 1 }];
        let journals = Journals::read(&[(VICTIM, &entries)]);
        let mut report = Report::default();
        report.judge_kill(&journals, &BTreeMap::new());
        assert_eq!((report.retried_after_kill, report.is_good()), (0, false));
    }
}
