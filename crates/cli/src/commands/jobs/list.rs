use holdfast_proto::jobs::v1::{Job, JobState, ListJobsRequest};
use serde_json::{Value, json};

use crate::{
    connection::{CallError, Connection},
    output::{Format, print},
    present,
};

const PAGE_MAX: usize = 1_000;

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[arg(long)]
    project: String,
    /// Tenant; needed only where the token names several.
    #[arg(long, default_value = "", hide_default_value = true)]
    tenant: String,
    /// Only jobs in this state; may be repeated.
    #[arg(long = "state", value_enum)]
    states: Vec<StateArg>,
    /// Only jobs of this intent.
    #[arg(long, default_value = "", hide_default_value = true)]
    intent: String,
    /// How many at most; pages are fetched as needed.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum StateArg {
    Queued,
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
}

impl ListArgs {
    pub(crate) async fn run(self, connection: &Connection, format: Format) -> anyhow::Result<()> {
        let (jobs, more) = self.fetch(connection).await?;
        let document = json!({ "jobs": jobs.iter().map(present::job_json).collect::<Vec<Value>>(), "more": more });
        print(format, &document, || present::jobs_table(&jobs, more))
    }

    /// The jobs, and whether there are more than were asked for.
    async fn fetch(self, connection: &Connection) -> anyhow::Result<(Vec<Job>, bool)> {
        let states: Vec<i32> = self.states.iter().map(|state| JobState::from(*state).into()).collect();
        let (mut jobs, mut page_token) = (Vec::new(), String::new());
        loop {
            let page_size = i32::try_from((self.limit - jobs.len()).min(PAGE_MAX))?;
            if page_size == 0 {
                return Ok((jobs, !page_token.is_empty()));
            }
            let request = ListJobsRequest {
                tenant_id: self.tenant.clone(),
                project_id: self.project.clone(),
                states: states.clone(),
                intent: self.intent.clone(),
                page_size,
                page_token,
            };
            let page =
                connection.jobs().list_jobs(connection.request(request)).await.map_err(CallError::from)?.into_inner();
            jobs.extend(page.jobs);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok((jobs, false));
            }
        }
    }
}

impl From<StateArg> for JobState {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Queued => Self::Queued,
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
        }
    }
}
