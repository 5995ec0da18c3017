//! `holdfast up`: the whole stack, until Ctrl-C.

use std::{
    env,
    path::{Path, PathBuf},
};

use tokio_util::sync::CancellationToken;

use super::worker::stop_signal;
use crate::{
    connection::{Minted, mint},
    dev::{Layout, Ports, Stack, StackInfo, write_private},
    exit::Exit,
    output::{Format, Table, print},
    tour,
};

/// Start the whole stack on this machine; Ctrl-C stops it.
///
/// Starts PostgreSQL, PgBouncer where there is one, Redis and every service as child processes, with their data under --dir, migrates the schemas, and
/// makes a development signing key and a token that is good for three hours; `holdfast token` makes others. Ends with 0
/// after Ctrl-C or SIGTERM, with 1 where a part of the stack ended by itself.
#[derive(Debug, clap::Args)]
pub(crate) struct UpArgs {
    /// Run the tour once everything is up. Where it found anything off, or failed, `up` ends with 1, after Ctrl-C too.
    #[arg(long)]
    tour: bool,
    /// Repository for the tour.
    #[arg(long, default_value = ".", value_name = "PATH")]
    repository: PathBuf,
    /// Directory for data, logs, keys and secrets.
    #[arg(long, env = "HOLDFAST_DIR", default_value = ".holdfast", value_name = "PATH")]
    dir: PathBuf,
    #[command(flatten)]
    ports: Ports,
}

impl UpArgs {
    pub(crate) async fn run(self, format: Format) -> anyhow::Result<Exit> {
        let layout = Layout::at(&self.dir)?;
        layout.create()?;
        let _lock = layout.lock()?;
        let stop = stop_signal()?;
        let mut stack = Stack::new(&layout);
        let result = self.live(&layout, &mut stack, &stop, format).await;
        let stopped = stack.stop().await;
        let exit = result?;
        stopped?;
        Ok(exit)
    }

    /// From the first child to the wish to stop.
    async fn live(
        &self,
        layout: &Layout,
        stack: &mut Stack,
        stop: &CancellationToken,
        format: Format,
    ) -> anyhow::Result<Exit> {
        let started = tokio::select! {
            started = stack.start(&self.ports) => started?,
            () = stop.cancelled() => return Ok(Exit::Ok),
        };
        write_private(&layout.secret("token"), mint(&layout.keys(), &Minted::Person)?.as_bytes())?;
        let exit = if self.tour {
            tokio::select! {
                // In this order: what a tour has found is not lost to a signal that comes as it ends.
                biased;
                exit = self.tour(layout, &started, format) => exit,
                () = stop.cancelled() => return Ok(Exit::Ok),
                obituary = stack.broken() => anyhow::bail!(obituary),
            }
        } else {
            print(format, &started, || welcome(layout, &started))?;
            Exit::Ok
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(exit),
            obituary = stack.broken() => anyhow::bail!(obituary),
        }
    }

    async fn tour(&self, layout: &Layout, info: &StackInfo, format: Format) -> Exit {
        let options = tour::TourOptions::new(layout.clone(), info.clone(), self.repository.clone());
        let exit = match tour::run(&options, format).await {
            Ok(exit) => exit,
            Err(error) => {
                eprintln!("error: the tour could not be finished: {error:#}");
                Exit::Failure
            }
        };
        if format == Format::Table {
            println!("\n{}", welcome(layout, info));
        }
        exit
    }
}

fn welcome(layout: &Layout, info: &StackInfo) -> Table {
    let this = shown(&env::current_exe().unwrap_or_else(|_| "holdfast".into()));
    let secret = |name: &str| shown(&layout.secret(name));
    let mut table = Table::fields();
    table.field("jobs, gRPC", format!("{}  (with reflection and health)", info.endpoint));
    table.field("locks, gRPC", format!("{}  (likewise)", info.locks_endpoint));
    for (name, url) in &info.health_urls {
        table.field(&format!("{name}, HTTP"), format!("{url}/readyz  /metrics"));
    }
    table.field("PostgreSQL", format!("psql \"$(cat {})\"", secret("admin_url")));
    if let Some(file) = &info.pool_url_file {
        table.field("PgBouncer", format!("psql \"$(cat {})\" -c 'SHOW POOLS'", shown(file)));
    }
    table.field("Redis", format!("redis-cli -u \"$(cat {})\"", secret("redis_url")));
    table.field("logs", shown(&layout.root().join("logs")));
    table.field("a user's token, for 3 h", format!("cat {}", secret("token")));
    table.field("other tokens", format!("{this} token --help"));
    table.field(
        "next",
        format!("{this} jobs submit --project demo --intent demo.echo --payload '{{\"hello\":\"world\"}}'"),
    );
    table.row([String::new(), format!("{this} worker --intent demo.echo -- cat")]);
    table.row([String::new(), format!("{this} jobs list --project demo")]);
    table.row([String::new(), format!("{this} locks run --project demo nightly -- echo held")]);
    table.row([String::new(), format!("{this} doctor")]);
    table.footer("Everything is up. Ctrl-C stops it; what it holds is there again at the next start.");
    table
}

/// Relative where it lies below the current directory, so that it can be typed.
fn shown(path: &Path) -> String {
    let here = env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}
