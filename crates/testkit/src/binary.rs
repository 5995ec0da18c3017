//! Finds the workspace's binaries.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};

static BUILD: Mutex<()> = Mutex::new(());

/// A binary beside the running test, in the same profile; built where it is not there yet. One that is there is taken as
/// it is: `make test` builds before it tests. One in the directory that `HOLDFAST_BIN_DIR` names goes first: that is how
/// the tests are run against another build.
pub(crate) fn find(name: &str, package: &str) -> Result<PathBuf> {
    if let Some(directory) = std::env::var_os("HOLDFAST_BIN_DIR") {
        let other = Path::new(&directory).join(name);
        if other.exists() {
            return Ok(other);
        }
    }
    let profile = profile_directory()?;
    let binary = profile.join(name);
    let _one_at_a_time = BUILD.lock().unwrap_or_else(PoisonError::into_inner);
    if !binary.exists() {
        build(name, package, &profile)?;
    }
    ensure!(binary.exists(), "building {package} left no {}", binary.display());
    Ok(binary)
}

/// `target/debug` for a test in `target/debug/deps`.
fn profile_directory() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let mut directory = test.parent().context("the test has no directory")?;
    if directory.ends_with("deps") || directory.ends_with("examples") {
        directory = directory.parent().context("deps has no parent")?;
    }
    Ok(directory.to_owned())
}

fn build(name: &str, package: &str, profile: &Path) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--package", package, "--bin", name]);
    if profile.ends_with("release") {
        command.arg("--release");
    }
    command.arg("--target-dir").arg(profile.parent().context("the profile's directory has no parent")?);
    let status = command.current_dir(env!("CARGO_MANIFEST_DIR")).status().context("cannot run cargo")?;
    ensure!(status.success(), "cargo build of {package} failed");
    Ok(())
}
