use futures::{StreamExt, TryStreamExt};
use holdfast_client::{Client, JobFilter, JobState, pb::Job};
use serde_json::{Value, json};

use crate::{
    output::{Format, print},
    present,
};

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[arg(long)]
    project: String,
    /// Tenant; needed only where the token names several.
    #[arg(long)]
    tenant: Option<String>,
    /// Only jobs in this state; may be repeated.
    #[arg(long = "state", value_enum)]
    states: Vec<StateArg>,
    /// Only jobs of this intent.
    #[arg(long)]
    intent: Option<String>,
    /// How many at most; pages are fetched as needed.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum StateArg {
    Queued,
    Blocked,
    Running,
    Retrying,
    Done,
    Failed,
    TimedOut,
    Cancelled,
    WaitingHumanDecision,
    ChangesRequested,
    Deferred,
    Rejected,
    BudgetExceeded,
}

impl ListArgs {
    pub(crate) async fn run(self, client: &Client, format: Format) -> anyhow::Result<()> {
        let limit = self.limit;
        let filter = JobFilter {
            project: self.project,
            tenant: self.tenant,
            states: self.states.into_iter().map(Into::into).collect(),
            intent: self.intent,
        };
        // One more than asked for, to tell whether there are more.
        let listed = client.jobs().list(filter).take(limit.saturating_add(1));
        let mut jobs: Vec<Job> = listed.try_collect().await?;
        let more = jobs.len() > limit;
        jobs.truncate(limit);
        let document = json!({ "jobs": jobs.iter().map(present::job_json).collect::<Vec<Value>>(), "more": more });
        print(format, &document, || present::jobs_table(&jobs, more))
    }
}

impl From<StateArg> for JobState {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Queued => Self::Queued,
            StateArg::Blocked => Self::Blocked,
            StateArg::Running => Self::Running,
            StateArg::Retrying => Self::Retrying,
            StateArg::Done => Self::Done,
            StateArg::Failed => Self::Failed,
            StateArg::TimedOut => Self::TimedOut,
            StateArg::Cancelled => Self::Cancelled,
            StateArg::WaitingHumanDecision => Self::WaitingHumanDecision,
            StateArg::ChangesRequested => Self::ChangesRequested,
            StateArg::Deferred => Self::Deferred,
            StateArg::Rejected => Self::Rejected,
            StateArg::BudgetExceeded => Self::BudgetExceeded,
        }
    }
}
