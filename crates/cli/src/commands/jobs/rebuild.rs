//! `holdfast jobs rebuild-queues`: where live jobs stand in dispatch, from the jobs themselves.
//!
//! Everything that dispatch goes by can be derived: the places of live jobs (`job_queue`, `job_delayed`, `job_leases`) from
//! jobs and their history, the counts of a project (`project_slots`) from its jobs. One transaction changes a job and its
//! place together, so that nothing here is ever to be done, but after somebody changed tables by hand, or restored some of them.
//!
//! The services may run meanwhile. What differs is looked for in one statement, hence at one moment; it is mended under
//! the locks that a transition takes, in the order in which it takes them.

use anyhow::{Context as _, Result};
use serde::Serialize;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::{
    commands::admin::AdminArgs,
    dev::connect_admin,
    exit::{Exit, UsageError},
    output::{Format, Table, print},
};

/// Jobs that are mended in one transaction.
const BATCH: usize = 1000;

/// Set right where live jobs stand in dispatch, and the counts of their projects; safe while services run.
#[derive(Debug, clap::Args)]
#[command(long_about = "Set right where live jobs stand in dispatch, and the counts of their projects, from the jobs \
themselves. There is nothing to be set right unless tables were changed by hand or restored in part. Safe to repeat, and while \
services run: they go on with what is mended within seconds.")]
pub(super) struct RebuildArgs {
    /// Only say what differs; ends with 5 where something does.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Report {
    /// Live jobs that did not stand where they should, and places of jobs that are not live.
    jobs: usize,
    /// Projects whose counts were not those of their jobs.
    projects: usize,
}

impl RebuildArgs {
    pub(super) async fn run(self, format: Format) -> Result<Exit> {
        let (url, _) = self.admin.url()?;
        let mut connection = connect_admin(&url).await.context("connecting to the database")?;
        sees_every_tenant(&mut connection).await?;
        let mut report = Report::default();
        let misplaced = misplaced(&mut connection).await?;
        report.jobs = misplaced.len();
        if !self.dry_run {
            for batch in misplaced.chunks(BATCH) {
                put_right(&mut connection, batch).await.context("mending where jobs stand")?;
            }
        }
        // After the places: a lease that was missing may be one of what runs.
        let miscounted = miscounted(&mut connection).await?;
        report.projects = miscounted.len();
        if !self.dry_run {
            for project in &miscounted {
                count_again(&mut connection, project).await.context("mending the counts of a project")?;
            }
        }
        let word = if self.dry_run { "differ" } else { "mended" };
        print(format, &report, || {
            let mut table = Table::new(["what", word]);
            table.row(["jobs".to_owned(), report.jobs.to_string()]);
            table.row(["projects".to_owned(), report.projects.to_string()]);
            table
        })?;
        let differs = report != Report::default();
        Ok(if self.dry_run && differs { Exit::Conflict } else { Exit::Ok })
    }
}

/// Row-level security holds for the tables' owner too: whoever is held to it sees no jobs, and would find nothing wrong.
async fn sees_every_tenant(connection: &mut PgConnection) -> Result<()> {
    let sees: bool =
        sqlx::query_scalar("SELECT rolsuper OR rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = current_user")
            .fetch_one(connection)
            .await?;
    if sees {
        return Ok(());
    }
    Err(UsageError("the administrator must be a superuser or have BYPASSRLS: others see no tenant's jobs".to_owned())
        .into())
}

async fn misplaced(connection: &mut PgConnection) -> Result<Vec<Uuid>> {
    let query = sqlx::query_scalar(include_str!("rebuild/misplaced.sql"));
    query.fetch_all(connection).await.context("comparing places with jobs")
}

async fn put_right(connection: &mut PgConnection, job_ids: &[Uuid]) -> Result<(), sqlx::Error> {
    let mut tx = connection.begin().await?;
    for statement in [
        // Whoever moves one of them has done so, or waits until this is over.
        "SELECT FROM jobs.jobs WHERE job_id = ANY ($1) ORDER BY job_id FOR NO KEY UPDATE",
        "DELETE FROM jobs.job_queue WHERE job_id = ANY ($1)",
        "DELETE FROM jobs.job_delayed WHERE job_id = ANY ($1)",
        include_str!("rebuild/unwait.sql"),
        include_str!("rebuild/unlease.sql"),
        include_str!("rebuild/enqueue.sql"),
        include_str!("rebuild/delay.sql"),
        include_str!("rebuild/lease.sql"),
    ] {
        sqlx::query(statement).bind(job_ids).execute(&mut *tx).await?;
    }
    tx.commit().await
}

/// A tenant and one of its projects.
type ProjectKey = (String, String);

async fn miscounted(connection: &mut PgConnection) -> Result<Vec<ProjectKey>> {
    let query = sqlx::query_as(include_str!("rebuild/miscounted.sql"));
    query.fetch_all(connection).await.context("comparing counts with jobs")
}

/// A transition adds to the counts what it changes: what has not committed when its project is counted waits for the row, and
/// is added to what was counted.
async fn count_again(connection: &mut PgConnection, (tenant_id, project_id): &ProjectKey) -> Result<(), sqlx::Error> {
    let mut tx = connection.begin().await?;
    for statement in [
        "INSERT INTO jobs.project_slots (tenant_id, project_id, running, dequeued, infra_dequeued) VALUES ($1, $2, 0, 0, 0) \
         ON CONFLICT (tenant_id, project_id) DO NOTHING",
        "SELECT FROM jobs.project_slots WHERE tenant_id = $1 AND project_id = $2 FOR UPDATE",
        "INSERT INTO jobs.project_intake (tenant_id, project_id, submitted, infra_submitted) VALUES ($1, $2, 0, 0) \
         ON CONFLICT (tenant_id, project_id) DO NOTHING",
        "SELECT FROM jobs.project_intake WHERE tenant_id = $1 AND project_id = $2 FOR UPDATE",
        include_str!("rebuild/count.sql"),
    ] {
        sqlx::query(statement).bind(tenant_id).bind(project_id).execute(&mut *tx).await?;
    }
    tx.commit().await
}
