//! The files of the tour: what git tracks.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

use crate::exit::UsageError;

#[derive(Debug)]
pub(super) struct Repository {
    root: PathBuf,
    /// Relative paths of regular files.
    pub(super) files: Vec<String>,
    /// Tracked, but nothing that can be read here: deleted, a link, a submodule, a name that is not UTF-8.
    pub(super) skipped: usize,
}

impl Repository {
    pub(super) fn open(directory: &Path) -> anyhow::Result<Self> {
        let no_repository = |why: String| {
            UsageError(format!("{} is not in a git repository, which the tour needs: {why}", directory.display()))
        };
        let top = git(directory, &["rev-parse", "--show-toplevel"]).map_err(no_repository)?;
        let root = PathBuf::from(String::from_utf8(top).context("the path of the repository is not UTF-8")?.trim_end());
        let listed = git(&root, &["ls-files", "-z"]).map_err(no_repository)?;
        let names: Vec<&[u8]> = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty()).collect();
        let files: Vec<String> = names
            .iter()
            .filter_map(|name| std::str::from_utf8(name).ok())
            .filter(|name| root.join(name).symlink_metadata().is_ok_and(|metadata| metadata.is_file()))
            .map(str::to_owned)
            .collect();
        let skipped = names.len() - files.len();
        Ok(Self { root, files, skipped })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }
}

/// Git refuses a checkout that belongs to another account until it is told that it may: whoever named the directory has
/// said so, for this call. The repository is the directory or one above it.
fn git(directory: &Path, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let resolved = directory.canonicalize().map_err(|error| error.to_string())?;
    let mut git = Command::new("git");
    for candidate in resolved.ancestors() {
        let mut setting = OsString::from("safe.directory=");
        setting.push(candidate);
        git.arg("-c").arg(setting);
    }
    let output = git.arg("-C").arg(&resolved).args(arguments).output().map_err(|error| format!("git: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_git_tracks_and_can_be_read_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        git(root, &["init", "-q"]).unwrap();
        for name in ["tracked", "deleted", "untracked"] {
            std::fs::write(root.join(name), name).unwrap();
        }
        git(root, &["add", "tracked", "deleted"]).unwrap();
        std::fs::remove_file(root.join("deleted")).unwrap();
        let repository = Repository::open(root).unwrap();
        assert_eq!(repository.files, ["tracked"]);
        assert_eq!(repository.skipped, 1);
    }

    #[test]
    fn a_directory_without_a_repository_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let error = Repository::open(directory.path()).unwrap_err();
        assert!(error.downcast_ref::<UsageError>().is_some(), "{error:#}");
    }
}
