//! `holdfast migrate`: schemas forth and back.

use std::{path::PathBuf, str::FromStr};

use anyhow::Context;
use clap::{Args, Subcommand};
use holdfast_pg::{
    DatabaseUrl, Role,
    migrate::{self, MigrateError, StepState},
};
use serde_json::{Value, json};

use super::admin::AdminArgs;
use crate::{
    exit::{Exit, UsageError},
    output::{Format, Table, print},
};

#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    #[command(subcommand)]
    step: Step,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// Make roles and schemas and apply what is pending; safe to repeat.
    Up {
        /// Leave roles and schemas as they are: an administrator has made them.
        #[arg(long)]
        skip_bootstrap: bool,
        /// File with a role's password, as `holdfast_jobs_app=PATH`; may be repeated.
        #[arg(long = "password-file", value_name = "ROLE=PATH", conflicts_with = "skip_bootstrap")]
        passwords: Vec<PasswordFile>,
    },
    /// Revert the latest migrations of one schema; refused where the environment is prod.
    Down {
        /// How many.
        #[arg(long, default_value_t = 1)]
        steps: usize,
    },
    /// Say which migrations are applied; ends with 5 where one is pending or differs.
    Status,
    /// Go up, down and up again in a scratch database on the same server, and compare the schemas on the way.
    Rehearse,
}

#[derive(Debug, Args)]
struct Target {
    #[command(flatten)]
    admin: AdminArgs,
    /// Schema; may be repeated. All where none is given.
    #[arg(long = "schema", value_name = "NAME", global = true)]
    schemas: Vec<String>,
    /// What the database is for. `down` asks for it, and refuses prod.
    #[arg(long, env = "HOLDFAST_ENVIRONMENT", value_name = "NAME", global = true)]
    environment: Option<String>,
}

#[derive(Clone, Debug)]
struct PasswordFile {
    role: Role,
    path: PathBuf,
}

impl FromStr for PasswordFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, path) = text.split_once('=').ok_or("expected ROLE=PATH")?;
        let role = Role::ALL.into_iter().find(|role| role.name() == name).ok_or_else(|| format!("no role {name}"))?;
        Ok(Self { role, path: path.into() })
    }
}

impl MigrateArgs {
    pub(crate) async fn run(self, format: Format) -> anyhow::Result<Exit> {
        let (url, is_development) = self.target.admin.url()?;
        let schemas = self.target.schemas()?;
        match self.step {
            Step::Up { skip_bootstrap, passwords } => {
                if !skip_bootstrap {
                    migrate::bootstrap(&url, &read(passwords)?).await.context("making roles and schemas")?;
                }
                up(&url, &schemas, format).await
            }
            Step::Down { steps } => {
                let [schema] = schemas.as_slice() else {
                    return Err(UsageError("name the one schema to go down in with --schema".to_owned()).into());
                };
                let development = || is_development.then(|| "dev".to_owned());
                let environment = self.target.environment.or_else(development).ok_or_else(|| {
                    UsageError("say what this database is for with --environment; prod only goes forward".to_owned())
                })?;
                down(&url, schema, steps, &environment, format).await
            }
            Step::Status => status(&url, &schemas, format).await,
            Step::Rehearse => rehearse(&url, &schemas, format).await,
        }
    }
}

impl Target {
    fn schemas(&self) -> Result<Vec<String>, UsageError> {
        let known: Vec<&str> = migrate::schemas().collect();
        if let Some(unknown) = self.schemas.iter().find(|schema| !known.contains(&schema.as_str())) {
            return Err(UsageError(format!("no schema {unknown}; there are {}", known.join(", "))));
        }
        Ok(if self.schemas.is_empty() { known.into_iter().map(str::to_owned).collect() } else { self.schemas.clone() })
    }
}

fn read(files: Vec<PasswordFile>) -> anyhow::Result<migrate::Passwords> {
    let read = |file: PasswordFile| {
        let text = std::fs::read_to_string(&file.path).with_context(|| file.path.display().to_string())?;
        Ok((file.role, text.trim().to_owned()))
    };
    files.into_iter().map(read).collect()
}

async fn up(url: &DatabaseUrl, schemas: &[String], format: Format) -> anyhow::Result<Exit> {
    let mut done = Vec::new();
    for schema in schemas {
        done.push((schema.clone(), migrate::up(url, schema).await?));
    }
    print_versions(&done, "applied", format)
}

async fn down(
    url: &DatabaseUrl,
    schema: &str,
    steps: usize,
    environment: &str,
    format: Format,
) -> anyhow::Result<Exit> {
    match migrate::down(url, schema, steps, environment).await {
        Ok(versions) => print_versions(&[(schema.to_owned(), versions)], "reverted", format),
        Err(error @ MigrateError::DownInProd) => {
            eprintln!("error: {error}");
            Ok(Exit::Refused)
        }
        Err(error) => Err(error.into()),
    }
}

fn print_versions(done: &[(String, Vec<i64>)], what: &str, format: Format) -> anyhow::Result<Exit> {
    let json: Value = done.iter().map(|(schema, versions)| json!({ "schema": schema, what: versions })).collect();
    print(format, &json, || {
        let mut table = Table::new(["schema", what]);
        for (schema, versions) in done {
            let versions: Vec<String> = versions.iter().map(|version| format!("{version:04}")).collect();
            table.row([schema.clone(), if versions.is_empty() { "nothing".to_owned() } else { versions.join(" ") }]);
        }
        table
    })?;
    Ok(Exit::Ok)
}

async fn status(url: &DatabaseUrl, schemas: &[String], format: Format) -> anyhow::Result<Exit> {
    let mut steps = Vec::new();
    for schema in schemas {
        steps.extend(migrate::status(url, schema).await?.into_iter().map(|step| (schema.clone(), step)));
    }
    let document: Value = steps
        .iter()
        .map(|(schema, step)| {
            json!({ "schema": schema, "version": step.version, "description": step.description, "state": word(step.state) })
        })
        .collect();
    print(format, &document, || {
        let mut table = Table::new(["schema", "version", "state", "description"]);
        for (schema, step) in &steps {
            let state = word(step.state).to_owned();
            table.row([schema.clone(), format!("{:04}", step.version), state, step.description.clone()]);
        }
        table
    })?;
    let current = steps.iter().all(|(_, step)| step.state == StepState::Applied);
    Ok(if current { Exit::Ok } else { Exit::Conflict })
}

pub(super) fn word(state: StepState) -> &'static str {
    match state {
        StepState::Pending => "pending",
        StepState::Applied => "applied",
        StepState::Changed => "changed",
        StepState::Unknown => "unknown",
    }
}

async fn rehearse(url: &DatabaseUrl, schemas: &[String], format: Format) -> anyhow::Result<Exit> {
    let mut done = Vec::new();
    for schema in schemas {
        let rehearsal = migrate::rehearse(url, schema).await?;
        done.push((schema.clone(), rehearsal.versions));
    }
    print_versions(&done, "rehearsed", format)
}
