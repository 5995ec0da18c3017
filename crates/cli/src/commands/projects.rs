//! `holdfast projects`: what projects may do.

use std::{io::Read, path::PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use holdfast_client::{
    Client,
    pb::{Project, ProjectSettings},
};
use serde_json::{Value, json};

use crate::{
    connection::{ConnectionArgs, Minted},
    exit::{Exit, UsageError},
    output::{Format, Table, print},
    present,
    settings::SettingsDocument,
};

#[derive(Debug, Args)]
pub(crate) struct ProjectsArgs {
    #[command(subcommand)]
    call: Call,
}

#[derive(Debug, Subcommand)]
enum Call {
    /// Show what a project may do.
    Get(WithConnection<GetArgs>),
    /// Change some of a project's settings, or replace all of them.
    Set(WithConnection<SetArgs>),
    /// List the projects of a tenant by name.
    List(WithConnection<ListArgs>),
}

#[derive(Debug, Args)]
struct WithConnection<A: Args> {
    #[command(flatten)]
    args: A,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl ProjectsArgs {
    pub(crate) async fn run(self, format: Format) -> anyhow::Result<Exit> {
        match self.call {
            Call::Get(call) => call.args.run(&call.connection.open(Minted::Person).await?, format).await,
            Call::Set(call) => call.args.run(&call.connection.open(Minted::Person).await?, format).await,
            Call::List(call) => call.args.run(&call.connection.open(Minted::Person).await?, format).await,
        }?;
        Ok(Exit::Ok)
    }
}

#[derive(Debug, Args)]
struct Named {
    project: String,
    /// Tenant; needed only where the token names several.
    #[arg(long, default_value = "", hide_default_value = true)]
    tenant: String,
}

impl Named {
    async fn fetch(&self, client: &Client) -> anyhow::Result<Project> {
        Ok(client.projects().get(&self.tenant, &self.project).await?)
    }
}

#[derive(Debug, Args)]
struct GetArgs {
    #[command(flatten)]
    named: Named,
}

impl GetArgs {
    async fn run(self, client: &Client, format: Format) -> anyhow::Result<()> {
        let project = self.named.fetch(client).await?;
        print(format, &project_json(&project), || project_table(&project))
    }
}

#[derive(Debug, Args)]
struct SetArgs {
    #[command(flatten)]
    named: Named,
    /// File with all of the settings, as `get -o json` prints them under `settings`; `-` is standard input. Without it, what
    /// is not named here stays as it is.
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Refused where the project is at another version [default: the one that is found].
    #[arg(long)]
    version: Option<u64>,
    /// Jobs that run at once; 1 makes the project serial, 0 goes back to configuration, here as below.
    #[arg(long)]
    running_max: Option<i32>,
    /// Its share among the projects of its tenant.
    #[arg(long)]
    weight: Option<i32>,
    /// Depth of its queue from which jobs that are not safety-critical may be refused.
    #[arg(long)]
    queue_soft: Option<i32>,
    /// Depth of its queue from which every new job is refused.
    #[arg(long)]
    queue_hard: Option<i32>,
    /// What its jobs may use in a day.
    #[arg(long)]
    tokens_per_day_max: Option<u64>,
    /// The same in millionths of a US dollar.
    #[arg(long)]
    cost_micros_per_day_max: Option<u64>,
}

impl SetArgs {
    async fn run(self, client: &Client, format: Format) -> anyhow::Result<()> {
        let present = self.named.fetch(client).await?;
        let version = self.version.unwrap_or(present.version);
        let settings = self.settings(present.settings.unwrap_or_default())?;
        let project = client.projects().update(&self.named.tenant, &self.named.project, version, settings).await?;
        print(format, &project_json(&project), || project_table(&project))
    }

    fn settings(&self, present: ProjectSettings) -> anyhow::Result<ProjectSettings> {
        let mut settings = match &self.file {
            Some(path) => {
                let text = if path.as_os_str() == "-" {
                    let mut text = String::new();
                    std::io::stdin().read_to_string(&mut text).context("standard input")?;
                    text
                } else {
                    std::fs::read_to_string(path).with_context(|| path.display().to_string())?
                };
                let document: SettingsDocument = serde_json::from_str(&text)
                    .map_err(|error| UsageError(format!("{} holds no settings: {error}", path.display())))?;
                document.into()
            }
            None => present,
        };
        let ProjectSettings { running_max, weight, queue_soft, queue_hard, .. } = &mut settings;
        for (field, asked) in [
            (running_max, self.running_max),
            (weight, self.weight),
            (queue_soft, self.queue_soft),
            (queue_hard, self.queue_hard),
        ] {
            *field = asked.unwrap_or(*field);
        }
        settings.tokens_per_day_max = self.tokens_per_day_max.unwrap_or(settings.tokens_per_day_max);
        settings.cost_micros_per_day_max = self.cost_micros_per_day_max.unwrap_or(settings.cost_micros_per_day_max);
        Ok(settings)
    }
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Tenant; needed only where the token names several.
    #[arg(long, default_value = "", hide_default_value = true)]
    tenant: String,
}

impl ListArgs {
    async fn run(self, client: &Client, format: Format) -> anyhow::Result<()> {
        let projects = client.projects().list(&self.tenant).await?;
        let document = json!({ "projects": projects.iter().map(project_json).collect::<Vec<Value>>() });
        print(format, &document, || projects_table(&projects))
    }
}

fn project_json(project: &Project) -> Value {
    let document = |settings: &Option<ProjectSettings>| SettingsDocument::from(settings.clone().unwrap_or_default());
    json!({
        "tenant_id": project.tenant_id,
        "project_id": project.project_id,
        "version": project.version,
        "settings": document(&project.settings),
        "in_force": document(&project.in_force),
        "updated_at": project.updated_at.as_ref().map(|at| present::time(Some(at))),
        "updated_by": Some(project.updated_by.as_str()).filter(|by| !by.is_empty()),
    })
}

fn project_table(project: &Project) -> Table {
    let in_force = project.in_force.clone().unwrap_or_default();
    let mut table = Table::fields();
    table.field("project", &project.project_id);
    table.field("tenant", &project.tenant_id);
    table.field("version", project.version.to_string());
    table.field("running at most", in_force.running_max.to_string());
    table.field("weight", in_force.weight.to_string());
    table.field("queue", format!("{} soft, {} hard", in_force.queue_soft, in_force.queue_hard));
    let limit = |limit: u64| if limit == 0 { String::new() } else { limit.to_string() };
    table.field("tokens a day", limit(in_force.tokens_per_day_max));
    table.field("cost a day, micros", limit(in_force.cost_micros_per_day_max));
    for policy in &in_force.intents {
        let policy = serde_json::to_value(SettingsDocument::policy(policy.clone())).unwrap_or_default();
        let said = policy.as_object().into_iter().flatten().filter(|(name, _)| *name != "intent");
        let said: Vec<String> = said.map(|(name, value)| format!("{name} {value}")).collect();
        table.field(policy["intent"].as_str().unwrap_or_default(), said.join(", "));
    }
    table.field("changed", present::time(project.updated_at.as_ref()));
    table.field("by", &project.updated_by);
    table
}

fn projects_table(projects: &[Project]) -> Table {
    let mut table = Table::new(["project", "version", "running", "weight", "queue", "intents", "changed", "by"]);
    for project in projects {
        let in_force = project.in_force.clone().unwrap_or_default();
        table.row([
            project.project_id.clone(),
            project.version.to_string(),
            in_force.running_max.to_string(),
            in_force.weight.to_string(),
            format!("{}/{}", in_force.queue_soft, in_force.queue_hard),
            in_force.intents.len().to_string(),
            present::time(project.updated_at.as_ref()),
            project.updated_by.clone(),
        ]);
    }
    table
}
