//! `holdfast tour-worker`: one worker process of the tour.

use std::{path::PathBuf, time::Duration};

use holdfast_client::{Worker, WorkerSpec};

use super::worker::stop_signal;
use crate::{
    connection::{ConnectionArgs, Minted},
    exit::Exit,
    tour::{DigestHandler, INTENT, JournalWriter},
};

#[derive(Debug, clap::Args)]
pub(crate) struct TourWorkerArgs {
    #[arg(long)]
    worker_id: String,
    #[arg(long)]
    capacity: u16,
    #[arg(long)]
    repository: PathBuf,
    #[arg(long)]
    journal: PathBuf,
    /// Never answer: hold what is leased until the process is killed.
    #[arg(long)]
    hold: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl TourWorkerArgs {
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        let client = self.connection.client(Minted::Worker(self.worker_id.clone()))?;
        let spec = WorkerSpec {
            capacity: self.capacity,
            drain_patience: Duration::from_secs(10),
            stop_patience: Duration::ZERO,
            start_patience: Some(Duration::ZERO),
            ..WorkerSpec::new(self.worker_id, [INTENT])
        };
        let journal = JournalWriter::create(&self.journal)?;
        let worker = Worker::new(client, spec).observed_by(move |event| journal.observe(event));
        worker.run(DigestHandler::new(self.repository, self.hold), &stop_signal()?).await?;
        Ok(Exit::Ok)
    }
}
