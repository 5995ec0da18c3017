//! The account that PostgreSQL runs as. It refuses to run as root, so root gives it away to an unprivileged account that
//! already exists; anyone else runs it as themselves.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, bail};
use nix::unistd::{Uid, User};

use super::{child, layout::Layout};

const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// Who runs a child process; `None` is whoever runs this one.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    other: Option<User>,
}

impl Account {
    pub(crate) fn for_postgres() -> anyhow::Result<Self> {
        if !Uid::effective().is_root() {
            return Ok(Self { other: None });
        }
        for name in UNPRIVILEGED {
            if let Some(user) = User::from_name(name).context("looking for an unprivileged account")? {
                return Ok(Self { other: Some(user) });
            }
        }
        bail!("PostgreSQL does not run as root, and there is neither an account `postgres` nor `nobody` to run it as")
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.other.as_ref().map(|user| user.name.as_str())
    }

    /// Gives a directory and nothing else to the account.
    pub(crate) fn own(&self, path: &Path) -> anyhow::Result<()> {
        let Some(user) = &self.other else { return Ok(()) };
        std::os::unix::fs::chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
            .with_context(|| format!("giving {} to {}", path.display(), user.name))
    }

    /// Where the account can keep its files: `name` under the stack's directory, or, where the account cannot pass
    /// through to there (a checkout under /root), a directory of the machine that is named for the stack's path.
    pub(crate) async fn home(&self, layout: &Layout, name: &str) -> anyhow::Result<PathBuf> {
        if self.reaches(layout.root()).await? {
            return Ok(layout.root().join(name));
        }
        let digest = blake3::hash(layout.root().as_os_str().as_encoded_bytes()).to_hex();
        let elsewhere = PathBuf::from(format!("/var/lib/holdfast-dev-{}", &digest[..12]));
        let account = self.name().unwrap_or("this account");
        eprintln!(
            "note: {account} cannot reach {}; {name} data is kept in {}",
            layout.root().display(),
            elsewhere.display()
        );
        Ok(elsewhere.join(name))
    }

    /// Asked of the kernel, as the account: mode bits alone do not say what access lists and mounts allow.
    async fn reaches(&self, directory: &Path) -> anyhow::Result<bool> {
        let mut probe = child::command("TERM", self.name(), Path::new("/bin/sh"))?;
        probe
            .args(["-c", r#"cd -- "$0""#])
            .arg(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(probe.status().await.context("probing a directory")?.success())
    }
}
