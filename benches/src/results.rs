//! Results as data: one JSON file an experiment, with the machine and the conditions it ran under.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::measure::{conditions::Conditions, machine::Machine};

/// What every file holds around its figures.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record<T> {
    pub command: String,
    /// True where the run was too short to be worth publishing.
    pub quick: bool,
    pub taken_at: String,
    pub machine: Machine,
    pub redis_version: Option<String>,
    pub conditions: Conditions,
    pub measured: T,
}

#[derive(Debug, Clone)]
pub struct Results {
    directory: PathBuf,
    pub quick: bool,
}

impl Results {
    pub fn in_directory(directory: PathBuf, quick: bool) -> Self {
        Self { directory, quick }
    }

    /// Published results lie beside this crate's source; those of quick runs are out of the way.
    pub fn default_directory(quick: bool) -> PathBuf {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        if quick { here.join("../target/bench-quick") } else { here.join("results") }
    }

    pub fn write<T: Serialize>(
        &self,
        name: &str,
        conditions: Conditions,
        redis_version: Option<String>,
        measured: T,
    ) -> Result<()> {
        let record = Record {
            command: command(name),
            quick: self.quick,
            taken_at: chrono::Utc::now().format("%Y-%m-%d %H:%M UTC").to_string(),
            machine: Machine::look()?,
            redis_version,
            conditions,
            measured,
        };
        fs::create_dir_all(&self.directory)?;
        let path = self.path(name);
        fs::write(&path, serde_json::to_string_pretty(&record)? + "\n")?;
        println!("written: {}", path.display());
        Ok(())
    }

    /// `None` where the experiment has not been run.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<Record<T>>> {
        let path = self.path(name);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path)?;
        Ok(Some(serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))?))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.json"))
    }
}

/// As one would type it, without the paths of this machine.
fn command(name: &str) -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments = if arguments.is_empty() { name.to_owned() } else { arguments.join(" ") };
    let profile = if cfg!(debug_assertions) { "" } else { " --release" };
    format!("cargo run -p holdfast-benches{profile} -- {arguments}")
}
