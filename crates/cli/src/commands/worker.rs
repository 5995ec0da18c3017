//! `holdfast worker`: any program as a worker. The payload comes on its standard input, the result is what it writes to its
//! standard output, and how it exits says what became of the job.

use std::{
    process::{ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;
use holdfast_client::{Answer, Error, Handler, Job, JobError, Payload, Worker, WorkerEvent, WorkerSpec, bytes};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde::de::IgnoredAny;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use super::values::QueueArg;
use crate::{
    connection::{ConnectionArgs, Minted},
    exit::Exit,
};

/// EX_DATAERR of sysexits.h: the input is bad, and will be bad again.
const EXIT_NOT_RETRYABLE: i32 = 65;

/// Lease jobs and run a command for each: payload on its standard input, result from its standard output.
///
/// The command is run once a job, with HOLDFAST_JOB_ID, HOLDFAST_TENANT_ID, HOLDFAST_PROJECT_ID, HOLDFAST_INTENT,
/// HOLDFAST_ATTEMPT, HOLDFAST_IDEMPOTENCY_KEY, HOLDFAST_FENCING_TOKEN and TRACEPARENT in its environment. Exit code 0
/// completes the job; 65 fails it for good; any other fails the attempt, and the job is tried again. A result that the
/// service refuses fails the job for good with code result_refused. The last lines of its standard error become the
/// failure's message: they go into history and events, so they must hold no secrets. Where the lease is lost, the command
/// is killed with everything in its process group.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkerArgs {
    /// Intent to lease; may be repeated; `*` is all that this worker is allowed.
    #[arg(long = "intent", required = true)]
    intents: Vec<String>,
    /// Jobs run at once.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1000))]
    capacity: u16,
    /// Name in the history [default: dev-worker-<pid>].
    #[arg(long)]
    worker_id: Option<String>,
    #[arg(long = "queue", value_enum, default_value = "project")]
    queues: Vec<QueueArg>,
    /// Media type of what the command writes [default: application/json where it parses as JSON, text/plain;
    /// charset=utf-8 where it is UTF-8, else application/octet-stream].
    #[arg(long)]
    content_type: Option<String>,
    /// How long running commands may take after SIGTERM, in seconds; then they are killed and their jobs given back.
    #[arg(long, default_value_t = 30)]
    drain_timeout: u64,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The command and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

impl WorkerArgs {
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        let client = self.connection.client(Minted::Worker("dev-worker".to_owned()))?;
        let worker_id = self.worker_id.unwrap_or_else(|| format!("dev-worker-{}", std::process::id()));
        let spec = WorkerSpec {
            queues: self.queues.into_iter().map(Into::into).collect(),
            capacity: self.capacity,
            drain_patience: Duration::from_secs(self.drain_timeout),
            // A command that is not wanted any more is killed.
            stop_patience: Duration::ZERO,
            start_patience: Some(Duration::ZERO),
            ..WorkerSpec::new(worker_id, self.intents)
        };
        let handler = CommandHandler { command: self.command, content_type: self.content_type };
        Worker::new(client, spec).observed_by(say).run(handler, &stop_signal()?).await?;
        Ok(Exit::Ok)
    }
}

/// Cancelled at the first SIGTERM, SIGINT or, where the terminal goes away, SIGHUP.
pub(super) fn stop_signal() -> anyhow::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
        stopped.cancel();
    });
    Ok(stop)
}

struct CommandHandler {
    command: Vec<String>,
    content_type: Option<String>,
}

impl Handler for CommandHandler {
    async fn handle(&self, job: Job) -> Result<Payload, JobError> {
        let began = Instant::now();
        let verdict = match self.execute(&job).await {
            Ok(output) => self.judge(output),
            Err(error) => Err(JobError::retryable("command_not_run", format!("{error:#}"))),
        };
        report_line(&job, &verdict, began.elapsed());
        verdict
    }
}

/// What becomes of the worker's sessions and answers, for people.
fn say(event: &WorkerEvent<'_>) {
    match event {
        WorkerEvent::Welcomed { session_id } => eprintln!("session {session_id} is open"),
        WorkerEvent::Answered { lease, outcome } => eprintln!("{}  {}", lease.job_id, acknowledgement(outcome)),
        WorkerEvent::Revoked { lease, cause } => eprintln!("{}  stopped: {cause}", lease.job_id),
        WorkerEvent::Disconnected { cause, again_in } => {
            eprintln!("disconnected ({cause}); again in {:.1} s", again_in.as_secs_f64());
        }
        _ => {}
    }
}

impl CommandHandler {
    async fn execute(&self, job: &Job) -> anyhow::Result<Output> {
        let (program, arguments) = self.command.split_first().context("no command")?;
        let mut command = Command::new(program);
        command.args(arguments).envs(environment(job)).kill_on_drop(true).process_group(0);
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {program}"))?;
        Group(child).converse(job.data()).await
    }

    fn judge(&self, output: Output) -> Result<Payload, JobError> {
        let code = output.status.code();
        if code != Some(0) {
            let name = code.map_or_else(|| "signal".to_owned(), |code| format!("exit_{code}"));
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            let message = if said.is_empty() { output.status.to_string() } else { said };
            let is_final = code == Some(EXIT_NOT_RETRYABLE);
            let error = if is_final { JobError::permanent } else { JobError::retryable };
            return Err(error(name, message));
        }
        let content_type = self.content_type.clone().unwrap_or_else(|| media_type(&output.stdout).to_owned());
        Ok(bytes(output.stdout, content_type))
    }
}

/// A command and everything it starts that stays in its process group.
struct Group(Child);

impl Group {
    /// Gives it its input, takes what it writes, and waits for its end.
    async fn converse(mut self, input: &[u8]) -> anyhow::Result<Output> {
        let mut stdin = self.0.stdin.take().context("no standard input")?;
        let mut stdout = self.0.stdout.take().context("no standard output")?;
        let mut stderr = self.0.stderr.take().context("no standard error")?;
        let (mut said, mut complained) = (Vec::new(), Vec::new());
        let (_, read, read_errors) = tokio::join!(
            async move {
                // A command that does not read its input is free not to.
                let _ = stdin.write_all(input).await;
                drop(stdin);
            },
            stdout.read_to_end(&mut said),
            stderr.read_to_end(&mut complained),
        );
        read.and(read_errors).context("reading what the command writes")?;
        // Only now: a command that has ended keeps its number until it is waited for, and so does its group.
        let status: ExitStatus = self.0.wait().await?;
        Ok(Output { status, stdout: said, stderr: complained })
    }
}

/// Dropped halfway, it takes down what the command has started too: killing the shell alone would leave the work going on.
impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0.id().and_then(|pid| i32::try_from(pid).ok()) {
            // Gone already is as good.
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// What a result is, by its content.
fn media_type(result: &[u8]) -> &'static str {
    match std::str::from_utf8(result) {
        Ok(text) if serde_json::from_str::<IgnoredAny>(text).is_ok() => "application/json",
        Ok(_) => "text/plain; charset=utf-8",
        Err(_) => "application/octet-stream",
    }
}

fn environment(job: &Job) -> Vec<(&'static str, String)> {
    vec![
        ("HOLDFAST_JOB_ID", job.id().to_owned()),
        ("HOLDFAST_TENANT_ID", job.tenant_id.clone()),
        ("HOLDFAST_PROJECT_ID", job.project_id.clone()),
        ("HOLDFAST_INTENT", job.intent.clone()),
        ("HOLDFAST_ATTEMPT", job.attempt.to_string()),
        ("HOLDFAST_IDEMPOTENCY_KEY", job.idempotency_key.clone()),
        ("HOLDFAST_FENCING_TOKEN", job.fencing_token().to_string()),
        ("TRACEPARENT", job.traceparent.clone()),
        ("TRACESTATE", job.tracestate.clone()),
    ]
}

fn report_line(job: &Job, verdict: &Result<Payload, JobError>, took: Duration) {
    let what = match verdict {
        Ok(result) => format!("exit 0, {} bytes", result.data.len()),
        Err(error) => error.code().to_owned(),
    };
    eprintln!("{}  {} attempt {}: {what} in {} ms", job.id(), job.intent, job.attempt, took.as_millis());
}

fn acknowledgement(outcome: &Result<Answer, Error>) -> String {
    match outcome {
        Ok(Answer::Done { .. }) => "done".to_owned(),
        Ok(Answer::Retrying { .. }) => "retrying".to_owned(),
        Ok(Answer::Failed { .. }) => "failed".to_owned(),
        Ok(Answer::Released) => "given back".to_owned(),
        Err(error) => format!("answer refused: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn judged(exit_code: i32, stderr: &str) -> Result<Payload, JobError> {
        let handler = CommandHandler { command: Vec::new(), content_type: None };
        let status = ExitStatus::from_raw(exit_code << 8);
        handler.judge(Output { status, stdout: b"1".to_vec(), stderr: stderr.into() })
    }

    #[test]
    fn the_exit_code_says_what_becomes_of_the_job() {
        assert_eq!(judged(0, "").unwrap().data, b"1"[..]);
        assert_eq!(judged(1, "why"), Err(JobError::retryable("exit_1", "why")));
        assert!(!judged(65, "").unwrap_err().is_retryable());
    }

    #[test]
    fn a_result_is_what_its_content_says_unless_the_flag_says_otherwise() {
        for (result, expected) in [
            (&b"{\"n\": [1, null]}\n"[..], "application/json"),
            (b"7", "application/json"),
            (b"", "text/plain; charset=utf-8"),
            ("dépêche".as_bytes(), "text/plain; charset=utf-8"),
            (b"{} {}", "text/plain; charset=utf-8"),
            (b"\"\xff\"", "application/octet-stream"),
        ] {
            assert_eq!(media_type(result), expected, "{}", result.escape_ascii());
        }
        let handler = CommandHandler { command: Vec::new(), content_type: Some("text/csv".into()) };
        let output = Output { status: ExitStatus::default(), stdout: b"1".to_vec(), stderr: Vec::new() };
        assert_eq!(handler.judge(output).unwrap().content_type, "text/csv");
    }
}
