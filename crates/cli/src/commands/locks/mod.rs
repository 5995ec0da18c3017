//! `holdfast locks`: the LockService by hand.

mod acquire;
mod check;
mod classes;
mod get;
mod lease;
mod list;
mod run;
mod watch;

use clap::{Args, Subcommand};
use holdfast_client::{Resource, resource};
use uuid::Uuid;

use crate::{connection::LocksConnectionArgs, exit::Exit, output::Format};

#[derive(Debug, Args)]
pub(crate) struct LocksArgs {
    #[command(subcommand)]
    call: Call,
}

#[derive(Debug, Subcommand)]
enum Call {
    Run(WithConnection<run::RunArgs>),
    Acquire(WithConnection<acquire::AcquireArgs>),
    /// Extend a lease by its time to live: the heartbeat of one that was acquired by hand.
    Renew(WithConnection<lease::RenewArgs>),
    /// End a lease.
    Release(WithConnection<lease::ReleaseArgs>),
    /// End somebody's lease at once, before it is stale.
    ForceRelease(WithConnection<lease::ForceArgs>),
    /// Show who holds a lock, and who waits for it.
    Get(WithConnection<get::GetArgs>),
    /// List the locks of a project that are held or waited for.
    List(WithConnection<list::ListArgs>),
    /// Follow a lock: a line now, and one after each change of its holder.
    Watch(WithConnection<watch::WatchArgs>),
    /// Say whether a fencing token is the current one; ends with 5 where it is not.
    Check(WithConnection<check::CheckArgs>),
    /// List the classes, in the order in which they are taken.
    Classes(WithConnection<classes::ClassesArgs>),
}

#[derive(Debug, Args)]
struct WithConnection<A: Args> {
    #[command(flatten)]
    args: A,
    #[command(flatten)]
    connection: LocksConnectionArgs,
}

impl LocksArgs {
    pub(crate) async fn run(self, format: Format) -> anyhow::Result<Exit> {
        match self.call {
            Call::Run(call) => return call.args.run(&call.connection.open().await?).await,
            Call::Check(call) => return call.args.run(&call.connection.open().await?, format).await,
            Call::Acquire(call) => call.args.run(&call.connection.open().await?, format).await,
            Call::Renew(call) => call.args.run(&call.connection.open().await?, format).await,
            Call::Release(call) => call.args.run(&call.connection.open().await?, format).await,
            Call::ForceRelease(call) => call.args.run(&call.connection.open().await?, format).await,
            Call::Get(call) => call.args.run(&call.connection.open().await?, format).await,
            Call::List(call) => call.args.run(&call.connection.open().await?, format).await,
            Call::Watch(call) => call.args.run(&call.connection.open().await?, format).await,
            Call::Classes(call) => call.args.run(&call.connection.open().await?, format).await,
        }?;
        Ok(Exit::Ok)
    }
}

#[derive(Debug, Args)]
struct Named {
    /// What is locked, as those who lock it name it.
    key: String,
    #[command(flatten)]
    place: Place,
}

impl Named {
    fn resource(&self) -> Resource {
        self.place.resource(&self.key)
    }
}

#[derive(Debug, Args)]
struct Place {
    #[arg(long)]
    project: String,
    /// Class of the lock; `holdfast locks classes` lists them.
    #[arg(long, default_value = "project")]
    class: String,
    /// Tenant; needed only where the token names several.
    #[arg(long, default_value = "", hide_default_value = true)]
    tenant: String,
}

impl Place {
    fn resource(&self, key: &str) -> Resource {
        resource(&self.project, &self.class, key)
    }
}

/// Commands that know nothing of each other keep no order among each other.
fn owner_of_its_own() -> String {
    format!("cli-{}", Uuid::new_v4().simple())
}
