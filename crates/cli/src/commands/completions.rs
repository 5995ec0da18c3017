use clap::CommandFactory;
use clap_complete::Shell;

use crate::{Cli, exit::Exit};

#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    shell: Shell,
}

impl CompletionsArgs {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        clap_complete::generate(self.shell, &mut Cli::command(), "holdfast", &mut std::io::stdout());
        Ok(Exit::Ok)
    }
}
