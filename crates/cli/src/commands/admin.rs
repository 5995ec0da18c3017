//! How a command reaches the database itself, as its administrator.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use holdfast_pg::DatabaseUrl;

use crate::dev::{Layout, StackInfo};

#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    /// URL of an administrator of the database, direct and not through a pooler [default: the stack running in --dir].
    #[arg(long, env = "HOLDFAST_ADMIN_URL", hide_env_values = true, value_name = "URL", global = true)]
    admin_url: Option<DatabaseUrl>,
    /// File with that URL.
    #[arg(long, env = "HOLDFAST_ADMIN_URL_FILE", value_name = "PATH", conflicts_with = "admin_url", global = true)]
    admin_url_file: Option<PathBuf>,
    /// Directory of the development stack.
    #[arg(long, env = "HOLDFAST_DIR", default_value = ".holdfast", value_name = "PATH", global = true)]
    dir: PathBuf,
}

impl AdminArgs {
    /// The administrator's URL, and whether it is the development stack's.
    pub(crate) fn url(&self) -> anyhow::Result<(DatabaseUrl, bool)> {
        if let Some(url) = &self.admin_url {
            return Ok((url.clone(), false));
        }
        if let Some(path) = &self.admin_url_file {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            return Ok((DatabaseUrl::parse(text.trim())?, false));
        }
        let stack = StackInfo::load(&Layout::at(&self.dir)?)
            .context("no --admin-url is given, and the development stack is not there either")?;
        Ok((stack.admin_url()?, true))
    }
}
