//! One file a command: arguments, what it does, what it prints.

mod admin;
mod completions;
mod doctor;
mod jobs;
mod locks;
mod migrate;
mod projects;
mod token;
mod tour;
mod tour_worker;
mod up;
mod values;
mod worker;

use clap::Subcommand;

use crate::{dev, exit::Exit, output::Format};

/// A command's help stands at its arguments where it is longer than a line: a comment here would take its place.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(up::UpArgs),
    Tour(tour::TourArgs),
    Token(token::TokenArgs),
    /// Bring the schemas of a database to another version, or say at which they are.
    Migrate(migrate::MigrateArgs),
    /// Submit jobs and see how they stand.
    Jobs(jobs::JobsArgs),
    /// Hold locks, and see who holds them.
    Locks(locks::LocksArgs),
    /// See and change what projects may do.
    Projects(projects::ProjectsArgs),
    Worker(worker::WorkerArgs),
    Doctor(doctor::DoctorArgs),
    /// Print a completion script for a shell.
    Completions(completions::CompletionsArgs),
    /// A worker process of the tour.
    #[command(hide = true)]
    TourWorker(tour_worker::TourWorkerArgs),
    /// Become another program that ends with its parent.
    #[command(hide = true)]
    RunChild(dev::RunChildArgs),
}

impl Command {
    pub(crate) async fn run(self, format: Format) -> anyhow::Result<Exit> {
        match self {
            Self::Up(args) => args.run(format).await,
            Self::Tour(args) => args.run(format).await,
            Self::Token(args) => args.run(format),
            Self::Migrate(args) => args.run(format).await,
            Self::Jobs(args) => args.run(format).await,
            Self::Locks(args) => args.run(format).await,
            Self::Projects(args) => args.run(format).await,
            Self::Worker(args) => args.run().await,
            Self::Doctor(args) => args.run(format).await,
            Self::Completions(args) => args.run(),
            Self::TourWorker(args) => args.run().await,
            Self::RunChild(args) => dev::run_child(args).map(|()| Exit::Failure),
        }
    }
}
