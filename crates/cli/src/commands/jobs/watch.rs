use std::io::Write;

use anyhow::bail;
use futures::StreamExt as _;
use holdfast_client::{
    Client, JobState,
    pb::{JobEvent, WatchJobsRequest, WatchJobsResponse, WatchedProject, watch_jobs_request::Scope},
};
use serde_json::json;

use crate::{
    output::{Format, one_line},
    present,
};

#[derive(Debug, clap::Args)]
pub(crate) struct WatchArgs {
    /// All jobs of this project.
    #[arg(long, required_unless_present = "job", conflicts_with = "job")]
    project: Option<String>,
    /// Tenant; needed only where the token names several.
    #[arg(long, default_value = "", hide_default_value = true)]
    tenant: String,
    /// One job, from its first transition on, until it has ended.
    #[arg(long)]
    job: Option<String>,
    /// Where an earlier watch stood: the `resume_token` of its last line [default: from now on].
    #[arg(long, default_value = "", hide_default_value = true)]
    resume: String,
    /// Only jobs of this intent.
    #[arg(long, default_value = "", hide_default_value = true)]
    intent: String,
    /// Fail unless the job ends as done.
    #[arg(long, requires = "job")]
    until_done: bool,
    /// End once everything has come that has happened, instead of waiting for more.
    #[arg(long, conflicts_with = "until_done")]
    once: bool,
}

impl WatchArgs {
    pub(crate) async fn run(self, client: &Client, format: Format) -> anyhow::Result<()> {
        let until_done = self.until_done;
        let mut messages = client.jobs().watch(self.request());
        let mut last = None;
        while let Some(message) = messages.next().await {
            let message = message?;
            match print(&message, format) {
                // Nobody reads what is printed any more, which is no failure.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
                printed => printed?,
            }
            last = message.events.last().map(JobEvent::to_state).or(last);
        }
        match last {
            Some(state) if until_done && state != JobState::Done => {
                bail!("the job ended as {}", present::state_name(state.into()))
            }
            _ => Ok(()),
        }
    }

    fn request(self) -> WatchJobsRequest {
        let project = self.project.map(|project_id| WatchedProject { tenant_id: self.tenant, project_id });
        WatchJobsRequest {
            scope: self.job.map(Scope::JobId).or(project.map(Scope::Project)),
            resume_token: self.resume,
            from_start: true,
            states: Vec::new(),
            intent: self.intent,
            catch_up_only: self.once,
        }
    }
}

/// A line an event. For machines also where nothing has happened: a new resume token.
fn print(message: &WatchJobsResponse, format: Format) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json => {
            let events: Vec<_> = message.events.iter().map(present::event_json).collect();
            writeln!(out, "{}", json!({ "events": events, "resume_token": message.resume_token }))?;
        }
        Format::Table => {
            for event in &message.events {
                let at = present::time(event.occurred_at.as_ref());
                let (state, detail) = (present::state_name(event.to_state), one_line(&event.detail));
                let line = format!("{at}  {}  {:>3}  {state:<22}  {detail}", event.job_id, event.seq);
                writeln!(out, "{}", line.trim_end())?;
            }
        }
    }
    out.flush()
}
