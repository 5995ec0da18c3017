//! Where everything of a development stack lies, and the lock that keeps two of them apart.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

#[derive(Debug, thiserror::Error)]
pub(crate) enum LayoutError {
    #[error("another `holdfast up` runs on {}; stop it first or choose another --dir", .0.display())]
    InUse(PathBuf),
    #[error("{}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// The directory of one stack, `.holdfast` by default.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn at(directory: &Path) -> Result<Self, LayoutError> {
        let root = std::path::absolute(directory).map_err(|source| failed(directory, source))?;
        Ok(Self { root })
    }

    /// Makes what is missing. The root can be passed through by the account that PostgreSQL runs as; secrets and keys
    /// cannot.
    pub(crate) fn create(&self) -> Result<(), LayoutError> {
        for (directory, mode) in [
            (self.root.clone(), 0o755),
            (self.root.join("config"), 0o700),
            (self.root.join("secrets"), 0o700),
            (self.keys(), 0o700),
            (self.root.join("logs"), 0o755),
            (self.root.join("redis"), 0o700),
            (self.root.join("tours"), 0o755),
            (self.run(), 0o755),
        ] {
            let made = fs::DirBuilder::new().recursive(true).mode(mode).create(&directory);
            made.map_err(|source| failed(&directory, source))?;
        }
        Ok(())
    }

    /// Held until the file is dropped, by the kernel: it does not outlive a process that was killed.
    pub(crate) fn lock(&self) -> Result<File, LayoutError> {
        let path = self.run().join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|source| failed(&path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(LayoutError::InUse(self.root.clone())),
            Err(TryLockError::Error(source)) => Err(failed(&path, source)),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Signing keys of the development issuer.
    pub(crate) fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    pub(crate) fn secret(&self, name: &str) -> PathBuf {
        self.root.join("secrets").join(name)
    }

    pub(crate) fn config(&self, name: &str) -> PathBuf {
        self.root.join("config").join(name)
    }

    pub(crate) fn log(&self, process: &str) -> PathBuf {
        self.root.join("logs").join(format!("{process}.log"))
    }

    pub(crate) fn redis(&self) -> PathBuf {
        self.root.join("redis")
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    pub(crate) fn pid_file(&self, process: &str) -> PathBuf {
        self.run().join(format!("{process}.pid"))
    }

    /// What `up` tells other commands about the running stack.
    pub(crate) fn stack_info(&self) -> PathBuf {
        self.run().join("stack.json")
    }

    /// Logs and journals of one tour.
    pub(crate) fn tour(&self, run_id: &str) -> PathBuf {
        self.root.join("tours").join(run_id)
    }
}

/// Writes a file that only its owner reads, as a whole: a reader finds the old content or the new.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), LayoutError> {
    let draft = path.with_extension("new");
    let written =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&draft).and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&draft, path)
        });
    written.map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: io::Error) -> LayoutError {
    LayoutError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_serves_one_stack_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::at(&directory.path().join("stack")).unwrap();
        layout.create().unwrap();
        let held = layout.lock().unwrap();
        assert!(matches!(layout.lock(), Err(LayoutError::InUse(path)) if path == layout.root()));
        drop(held);
        layout.lock().unwrap();
    }

    #[test]
    fn private_files_are_their_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
