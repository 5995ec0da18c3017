//! `holdfast tour`: the tour against a stack that runs already.

use std::path::PathBuf;

use crate::{
    dev::{Layout, StackInfo},
    exit::Exit,
    output::Format,
    tour::{self, TourOptions},
};

/// Send every file of this repository through the stack, kill a worker on the way, and check what became of it.
///
/// Every file that git tracks becomes a job; worker processes lease the jobs, compute a digest of the file and complete
/// them; some submissions are repeated, with the same and with another payload; one worker is killed while it holds
/// leases. Then the clients' logs, the API, the tables and the event stream are compared. Ends with 1 where anything is
/// off. Needs the stack's --dir, since it reads tables and events that no caller may.
#[derive(Debug, clap::Args)]
pub(crate) struct TourArgs {
    /// URL of the jobs service [default: the stack running in --dir].
    #[arg(long, env = "HOLDFAST_ENDPOINT", value_name = "URL")]
    endpoint: Option<String>,
    /// Directory of the development stack.
    #[arg(long, env = "HOLDFAST_DIR", default_value = ".holdfast", value_name = "PATH")]
    dir: PathBuf,
    /// A git repository whose files become jobs.
    #[arg(long, default_value = ".", value_name = "PATH")]
    repository: PathBuf,
}

impl TourArgs {
    pub(crate) async fn run(self, format: Format) -> anyhow::Result<Exit> {
        let layout = Layout::at(&self.dir)?;
        let mut stack = StackInfo::load(&layout)?;
        if let Some(endpoint) = self.endpoint {
            stack.endpoint = endpoint;
        }
        tour::run(&TourOptions::new(layout, stack, self.repository), format).await
    }
}
