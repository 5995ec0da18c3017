//! Cleans up after the test process, however it ends.
//!
//! Destructors do not run for statics, after `exit` or under SIGKILL. So a small shell outside of our process group reads
//! a pipe that we hold; when we are gone it reads the end of the file, stops what we had started and removes our
//! directories.

use std::{
    io::Write as _,
    ops::Deref,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;

const SCRIPT: &str = r#"
alive=""
directories=""
while read -r verb first second; do
    case "$verb" in
        started) alive="$alive $first:$second" ;;
        gone) rest=""; for entry in $alive; do [ "${entry%%:*}" = "$first" ] || rest="$rest $entry"; done; alive="$rest" ;;
        directory) directories="$directories $first" ;;
    esac
done
for entry in $alive; do kill -s "${entry#*:}" "${entry%%:*}" 2>/dev/null; done
for entry in $alive; do
    tries=0
    while kill -0 "${entry%%:*}" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || kill -s KILL "${entry%%:*}" 2>/dev/null
        [ $tries -lt 110 ] || break
        sleep 0.05
    done
done
for directory in $directories; do rm -rf -- "$directory"; done
"#;

static PIPE: OnceLock<Mutex<ChildStdin>> = OnceLock::new();

/// The child is ours until [`gone`]; `last_word` is the signal that ends it.
pub(crate) fn started(pid: u32, last_word: Signal) -> Result<()> {
    // Without SIG: what every shell's kill understands.
    tell(&format!("started {pid} {}", last_word.as_str().trim_start_matches("SIG")))
}

/// The child has been waited for: its number may become another's.
pub(crate) fn gone(pid: u32) -> Result<()> {
    tell(&format!("gone {pid}"))
}

/// A directory under the system's one for temporary files. Removed when it is dropped, or else with the test process.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(prefix: &str) -> Result<Self> {
        let path = tempfile::Builder::new().prefix(prefix).tempdir()?.keep();
        register(&path)?;
        Ok(Self(path))
    }
}

impl Deref for Directory {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What a server's last child still writes is left to the end.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn register(path: &Path) -> Result<()> {
    let path = path.to_str().filter(|path| !path.contains(char::is_whitespace));
    tell(&format!("directory {}", path.context("the directory for temporary files has a space in its path")?))
}

fn tell(line: &str) -> Result<()> {
    let pipe = match PIPE.get() {
        Some(pipe) => pipe,
        None => {
            let hired = hire()?;
            // Where two threads came at once, the one too many reads the end of its pipe and ends.
            PIPE.get_or_init(|| Mutex::new(hired))
        }
    };
    let mut pipe = pipe.lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(pipe, "{line}").context("the janitor has gone")
}

fn hire() -> Result<ChildStdin> {
    let mut child = Command::new("sh")
        .args(["-c", SCRIPT, "holdfast-test-janitor"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Out of reach of the terminal's Ctrl-C, which it is here to clean up after.
        .process_group(0)
        .spawn()
        .context("cannot start sh")?;
    child.stdin.take().context("sh has no standard input")
}
