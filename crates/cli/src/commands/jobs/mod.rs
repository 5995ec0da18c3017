//! `holdfast jobs`: the JobService by hand.

mod cancel;
mod decide;
mod events;
mod get;
mod list;
mod rebuild;
mod resubmit;
mod submit;
mod watch;

use clap::{Args, Subcommand};

use crate::{
    connection::{ConnectionArgs, Minted},
    exit::Exit,
    output::Format,
};

#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    #[command(subcommand)]
    call: Call,
}

#[derive(Debug, Subcommand)]
enum Call {
    /// Queue a job.
    Submit(WithConnection<submit::SubmitArgs>),
    /// Show one job.
    Get(WithConnection<get::GetArgs>),
    /// List the jobs of a project, newest first.
    List(WithConnection<list::ListArgs>),
    /// End a job that is not final.
    Cancel(WithConnection<cancel::CancelArgs>),
    /// Decide about a job of tier C.
    Decide(WithConnection<decide::DecideArgs>),
    /// Show the decisions about a job.
    Approvals(WithConnection<decide::ApprovalsArgs>),
    /// Submit a job that has ended once more, as a new job.
    Resubmit(WithConnection<resubmit::ResubmitArgs>),
    /// Show the history of a job.
    Events(WithConnection<events::EventsArgs>),
    /// Follow the transitions of a project's jobs, or of one job, as they happen.
    Watch(WithConnection<watch::WatchArgs>),
    RebuildQueues(rebuild::RebuildArgs),
}

#[derive(Debug, Args)]
struct WithConnection<A: Args> {
    #[command(flatten)]
    args: A,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl JobsArgs {
    pub(crate) async fn run(self, format: Format) -> anyhow::Result<Exit> {
        match self.call {
            Call::Submit(call) => call.args.run(&call.connection.open(Minted::Person).await?, format).await,
            Call::Get(call) => call.args.run(&call.connection.open(Minted::Person).await?, format).await,
            Call::List(call) => call.args.run(&call.connection.open(Minted::Person).await?, format).await,
            Call::Cancel(call) => call.args.run(&call.connection.open(Minted::Person).await?, format).await,
            Call::Decide(call) => call.args.run(&call.connection.open(Minted::Person).await?, format).await,
            Call::Approvals(call) => call.args.run(&call.connection.open(Minted::Person).await?, format).await,
            Call::Resubmit(call) => call.args.run(&call.connection.open(Minted::Person).await?, format).await,
            Call::Events(call) => call.args.run(&call.connection.open(Minted::Person).await?, format).await,
            Call::Watch(call) => call.args.run(&call.connection.open(Minted::Person).await?, format).await,
            Call::RebuildQueues(args) => return args.run(format).await,
        }?;
        Ok(Exit::Ok)
    }
}
