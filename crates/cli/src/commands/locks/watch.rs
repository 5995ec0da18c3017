use std::io::Write;

use futures::StreamExt as _;
use holdfast_client::{Client, Lock};

use super::Named;
use crate::{
    output::{Format, one_line},
    present::locks,
};

#[derive(Debug, clap::Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    named: Named,
    /// End as soon as it is free.
    #[arg(long)]
    until_free: bool,
}

impl WatchArgs {
    pub(crate) async fn run(self, client: &Client, format: Format) -> anyhow::Result<()> {
        let mut states = client.locks().watch(&self.named.place.tenant, &self.named.resource());
        while let Some(lock) = states.next().await {
            let lock = lock?;
            match print(&lock, format) {
                // Nobody reads what is printed any more, which is no failure.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
                printed => printed?,
            }
            if self.until_free && lock.holder.is_none() {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn print(lock: &Lock, format: Format) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json => writeln!(out, "{}", locks::lock_json(lock))?,
        Format::Table => writeln!(out, "{}", one_line(&locks::lock_line(lock)))?,
    }
    out.flush()
}
