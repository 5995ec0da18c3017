//! `holdfast doctor`: looks at everything the stack stands on, changes nothing.

mod database;
mod growth;
mod pool;
mod probe;
mod redis;

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use holdfast_pg::DatabaseUrl;
use serde_json::{Value, json};

use crate::{
    dev::{Layout, StackInfo},
    exit::{Exit, UsageError},
    output::{Format, Table, print},
};
use probe::{Finding, Verdict};

/// Check everything that the stack stands on.
///
/// Checks PostgreSQL, PgBouncer where there is one, Redis, the migrations, the clocks and the services. Ends with 1 where
/// anything fails; a warning is no failure. Looks at the stack in --dir, or at what the flags name.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// PostgreSQL, as a role that may read its settings.
    #[arg(long, env = "HOLDFAST_ADMIN_URL", hide_env_values = true, value_name = "URL")]
    admin_url: Option<DatabaseUrl>,
    /// PgBouncer, as a role that may use its console.
    #[arg(long, env = "HOLDFAST_POOL_URL", hide_env_values = true, value_name = "URL")]
    pool_url: Option<DatabaseUrl>,
    #[arg(long, env = "HOLDFAST_REDIS_URL", hide_env_values = true, value_name = "URL")]
    redis_url: Option<String>,
    /// HTTP address of a service, such as http://127.0.0.1:7180; may be repeated.
    #[arg(long = "service", value_name = "URL")]
    services: Vec<String>,
    /// Directory of the development stack.
    #[arg(long, env = "HOLDFAST_DIR", default_value = ".holdfast", value_name = "PATH")]
    dir: PathBuf,
}

impl DoctorArgs {
    pub(crate) async fn run(self, format: Format) -> anyhow::Result<Exit> {
        let mut findings = Vec::new();
        let patient = self.patient()?;
        if let Some(url) = &patient.admin_url {
            findings.extend(database::examine(url).await);
        }
        match &patient.pool_url {
            Some(url) => findings.extend(pool::examine(url).await),
            None => findings.push(Finding::note("PgBouncer", "not in use here")),
        }
        if let Some(url) = &patient.redis_url {
            findings.extend(redis::examine(url).await);
        }
        for url in &patient.services {
            findings.push(readiness(url).await);
        }
        report(&findings, format)
    }

    fn patient(self) -> anyhow::Result<Patient> {
        let mut patient = Patient {
            admin_url: self.admin_url,
            pool_url: self.pool_url,
            redis_url: self.redis_url,
            services: self.services,
        };
        let is_named = patient.admin_url.is_some() || patient.pool_url.is_some() || patient.redis_url.is_some();
        if !is_named && patient.services.is_empty() {
            let stack = StackInfo::load(&Layout::at(&self.dir)?)
                .map_err(|error| UsageError(format!("nothing to look at: {error}, or name what to look at")))?;
            patient.admin_url = Some(stack.admin_url()?);
            patient.pool_url = stack.pool_url()?;
            patient.redis_url = Some(stack.redis_url()?);
            patient.services = stack.health_urls.into_iter().map(|(_, url)| url).collect();
        }
        Ok(patient)
    }
}

struct Patient {
    admin_url: Option<DatabaseUrl>,
    pool_url: Option<DatabaseUrl>,
    redis_url: Option<String>,
    services: Vec<String>,
}

async fn readiness(url: &str) -> Finding {
    let what = format!("service {url}");
    match ask(url).await {
        Ok((true, body)) => Finding::good(what, body),
        Ok((false, body)) => Finding::bad(what, body),
        Err(error) => Finding::bad(what, format!("{error:#}")),
    }
}

async fn ask(url: &str) -> anyhow::Result<(bool, String)> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(6)).no_proxy().build()?;
    let response = client.get(format!("{url}/readyz")).send().await.context("no answer")?;
    let is_ready = response.status().is_success();
    let body = response.text().await?;
    let compact = serde_json::from_str::<Value>(&body).map_or(body, |value| value.to_string());
    Ok((is_ready, compact))
}

fn report(findings: &[Finding], format: Format) -> anyhow::Result<Exit> {
    let document: Value = findings
        .iter()
        .map(|finding| json!({ "check": finding.what, "verdict": finding.verdict.word(), "detail": finding.detail }))
        .collect();
    print(format, &document, || {
        let mut table = Table::new(["check", "verdict", "detail"]);
        for finding in findings {
            table.row([finding.what.clone(), finding.verdict.word().to_owned(), finding.detail.clone()]);
        }
        table
    })?;
    let is_ill = findings.iter().any(|finding| finding.verdict == Verdict::Bad);
    Ok(if is_ill { Exit::Failure } else { Exit::Ok })
}
