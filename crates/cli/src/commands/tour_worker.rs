//! `holdfast tour-worker`: one worker process of the tour.

use std::{path::PathBuf, sync::Arc, time::Duration};

use holdfast_proto::jobs::v1::Queue;

use super::worker::stop_signal;
use crate::{
    connection::ConnectionArgs,
    exit::Exit,
    tour::{DigestHandler, INTENT, JournalWriter},
    work::{self, WorkerOptions},
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
        let options = WorkerOptions {
            subject: self.worker_id.clone(),
            worker_id: self.worker_id,
            intents: vec![INTENT.to_owned()],
            queues: vec![Queue::Project.into()],
            capacity: self.capacity,
            drain_patience: Duration::from_secs(10),
        };
        let journal = JournalWriter::create(&self.journal)?;
        let handler = Arc::new(DigestHandler::new(self.repository, journal, self.hold));
        work::run(&self.connection, &options, handler, &stop_signal()?).await?;
        Ok(Exit::Ok)
    }
}
