use std::{io::Write, time::Duration};

use anyhow::bail;
use holdfast_fault::Received;
use holdfast_proto::jobs::v1::{
    JobEvent, JobState, WatchJobsRequest, WatchJobsResponse, WatchedProject, watch_jobs_request::Scope,
};
use serde_json::json;
use tokio::time::{Instant, sleep};
use tonic::{Code, Request, Status};

use crate::{
    connection::{CallError, Connection},
    output::{Format, one_line},
    present,
};

/// How long a watch that broke is tried to be resumed.
const RESUME_PATIENCE: Duration = Duration::from_secs(60);
const RESUME_AFTER: Duration = Duration::from_millis(500);

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
    pub(crate) async fn run(self, connection: &Connection, format: Format) -> anyhow::Result<()> {
        let until_done = self.until_done;
        let mut request = self.request();
        let (mut last, mut broken_at) = (None, None);
        loop {
            let status = match follow(connection, &mut request, format, &mut last, &mut broken_at).await {
                Ok(()) => break,
                Err(Stopped::Printing(error)) => return error.map_or(Ok(()), Err),
                Err(Stopped::Call(status)) => *status,
            };
            let since = *broken_at.get_or_insert_with(Instant::now);
            let passes = Received::from_status(&status).retryable() || status.code() == Code::Unavailable;
            // A watch that never began is refused, not broken.
            if !passes || request.resume_token.is_empty() || since.elapsed() > RESUME_PATIENCE {
                return Err(CallError::from(status).into());
            }
            sleep(RESUME_AFTER).await;
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

enum Stopped {
    Call(Box<Status>),
    /// None where nobody reads what is printed any more, which is no failure.
    Printing(Option<anyhow::Error>),
}

impl From<Status> for Stopped {
    fn from(status: Status) -> Self {
        Self::Call(Box::new(status))
    }
}

/// Prints what comes until the watch ends, and keeps in the request from where to resume it.
async fn follow(
    connection: &Connection,
    request: &mut WatchJobsRequest,
    format: Format,
    last: &mut Option<JobState>,
    broken_at: &mut Option<Instant>,
) -> Result<(), Stopped> {
    // Without a deadline: it lasts.
    let mut messages = connection.jobs().watch_jobs(Request::new(request.clone())).await?.into_inner();
    while let Some(message) = messages.message().await? {
        *broken_at = None;
        print(&message, format).map_err(|error| {
            Stopped::Printing(
                Some(error).filter(|error| error.kind() != std::io::ErrorKind::BrokenPipe).map(Into::into),
            )
        })?;
        *last = message.events.last().map(JobEvent::to_state).or(*last);
        request.resume_token = message.resume_token;
    }
    Ok(())
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
