//! `holdfast`: the command line of the platform, and the stack on one machine.
//!
//! [`commands`] has one file a command and no logic that two of them share. [`dev`] starts and stops the servers and
//! services of `holdfast up` as child processes. [`tour`] plans, runs and judges the tour. [`settings`] is a project's settings as a
//! document. The rest is what every command needs: [`connection`], [`output`], [`exit`]. Calls and sessions are holdfast-client's.
//!
//! It starts services as processes and never links them: what it knows of a service is the service's contract. Every
//! failure ends as one message on standard error and one of the codes of [`exit::Exit`].
#![forbid(unsafe_code)]

mod commands;
mod connection;
mod dev;
mod exit;
mod output;
mod present;
mod settings;
mod tour;

use std::process::ExitCode;

use clap::Parser;

use crate::{commands::Command, output::Format};

/// The durable state plane under fleets of AI agents.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, about, after_help = exit::HELP, max_term_width = 110)]
struct Cli {
    /// How results are printed.
    #[arg(long, short = 'o', value_enum, global = true, default_value_t = Format::Table, env = "HOLDFAST_OUTPUT")]
    output: Format,

    #[command(subcommand)]
    command: Command,
}

/// Parses the command line, runs the command and says how it went.
pub async fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command.run(cli.output).await {
        Ok(exit) => exit.into(),
        Err(error) => exit::report(&error, cli.output).into(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
