//! The broken twins: each patch in `tests/twins` takes one predicate out of the product, and the system test that guards
//! it has to fail, for the reason that the patch names.
//!
//! A twin is a copy of the tree under `target/twins`, patched and built there; no switch for it exists in the product. The
//! copy is one directory and one target directory for all twins, so that only what a patch touches is built anew, and the
//! libraries are taken over from the workspace's own target directory. Faults are random, so a twin may survive one run by
//! luck, or a run may fail for a reason of its own; one that three runs do not catch has shown that the test proves nothing,
//! and that fails.
#![forbid(unsafe_code)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use holdfast_system_tests::proof::SECONDS_DEFAULT;
use serde_json::Value;

/// A patch, the tests that guard what it takes out, and what their failure says.
struct Twin {
    patch: &'static str,
    tests: &'static str,
    says: &'static str,
}

const TWINS: &[Twin] = &[
    Twin { patch: "fence", tests: "workers::", says: "stale:" },
    Twin { patch: "fairness", tests: "fairness::tenants", says: "share:" },
    Twin { patch: "tenant", tests: "tenants::", says: "leak:" },
    Twin { patch: "relay-order", tests: "relays::", says: "order:" },
    Twin { patch: "dependencies", tests: "dags::", says: "order:" },
    Twin { patch: "watch", tests: "watches::", says: "gap:" },
    Twin { patch: "lock-fence", tests: "locks_linear::", says: "token went back:" },
    Twin { patch: "lock-expiry", tests: "locks_linear::", says: "double grant:" },
    Twin { patch: "lock-turn", tests: "locks_linear::", says: "granted and not there:" },
    Twin { patch: "lock-order", tests: "locks_order::", says: "inversion:" },
];

const BINARIES: [&str; 3] = ["holdfast-jobs", "holdfast-locks", "holdfast-relay"];
const RUNS_MAX: u64 = 3;

fn main() -> Result<()> {
    let only: Vec<String> = std::env::args().skip(1).collect();
    let workshop = Workshop::open()?;
    let mut survivors = Vec::new();
    for twin in TWINS.iter().filter(|twin| only.is_empty() || only.iter().any(|name| name == twin.patch)) {
        println!("twin {}: building", twin.patch);
        let binaries = workshop.build(twin).with_context(|| format!("twin {}", twin.patch))?;
        match workshop.put_to_the_test(twin, &binaries)? {
            Some(failure) => println!("twin {}: caught by {failure}", twin.patch),
            None => survivors.push(twin.patch),
        }
    }
    ensure!(survivors.is_empty(), "{RUNS_MAX} runs did not catch these twins: {}", survivors.join(", "));
    Ok(())
}

struct Workshop {
    root: PathBuf,
    /// `target/twins`.
    directory: PathBuf,
    cargo: std::ffi::OsString,
}

impl Workshop {
    fn open() -> Result<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.parent().context("the crate lies in the workspace")?.to_owned();
        let metadata = run(Command::new(&cargo).current_dir(&root).args(METADATA))?;
        let metadata: Value = serde_json::from_str(&metadata)?;
        let target = metadata["target_directory"].as_str().context("cargo names no target directory")?;
        let directory = Path::new(target).join("twins");
        fs::create_dir_all(&directory)?;
        let workshop = Self { root, directory, cargo };
        workshop.take_over_libraries(&Path::new(target).join("debug"))?;
        Ok(workshop)
    }

    /// Copies the tree, patches the copy, builds it, and puts the programs where the next twin does not overwrite them.
    fn build(&self, twin: &Twin) -> Result<PathBuf> {
        let tree = self.directory.join("tree");
        self.copy_tree(&tree)?;
        let queries = queries(&tree)?;
        let patch = self.root.join("tests/twins").join(twin.patch).with_extension("patch");
        // Without the ceiling git would find the repository around the copy, and apply nothing outside of its index.
        let mut git = Command::new("git");
        git.current_dir(&tree).env("GIT_CEILING_DIRECTORIES", &self.directory).args(["apply", "--verbose"]).arg(patch);
        run(&mut git).context("the patch no longer applies: write it anew")?;
        let is_offline = renew_metadata(&tree, &queries)?;
        let mut build = Command::new(&self.cargo);
        build.current_dir(&tree).args(["build", "--locked", "--target-dir"]).arg(self.directory.join("target"));
        for binary in BINARIES {
            build.args(["--package", binary, "--bin", binary]);
        }
        if is_offline {
            build.env("SQLX_OFFLINE", "true");
        }
        ensure!(build.status()?.success(), "the twin does not build");
        let binaries = self.directory.join(twin.patch);
        fs::create_dir_all(&binaries)?;
        for binary in BINARIES {
            fs::copy(self.directory.join("target/debug").join(binary), binaries.join(binary))?;
        }
        Ok(binaries)
    }

    /// Answers the line of the expected failure, or nothing where no run came to it. Each run lasts longer than the one before.
    fn put_to_the_test(&self, twin: &Twin, binaries: &Path) -> Result<Option<String>> {
        for run in 1..=RUNS_MAX {
            let output = Command::new(&self.cargo)
                .current_dir(&self.root)
                .args([
                    "test",
                    "--locked",
                    "--package",
                    "holdfast-system-tests",
                    "--test",
                    "system",
                    "--",
                    "--test-threads=1",
                ])
                .arg(twin.tests)
                .env("HOLDFAST_BIN_DIR", binaries)
                .env("HOLDFAST_PROOF_SECONDS", (run * SECONDS_DEFAULT).to_string())
                .env("RUST_BACKTRACE", "0")
                .output()?;
            if output.status.success() {
                println!("twin {}: survived run {run}", twin.patch);
                continue;
            }
            let said = String::from_utf8_lossy(&output.stdout);
            let failed: Vec<&str> = said.lines().filter(|line| line.ends_with(" stdout ----")).collect();
            let Some(line) = said.lines().find(|line| line.trim_start().starts_with(twin.says)) else {
                let stderr = String::from_utf8_lossy(&output.stderr);
                println!("twin {}: run {run} failed, but nothing says {:?}:\n{said}{stderr}", twin.patch, twin.says);
                continue;
            };
            return Ok(Some(format!("{}\n  {}", failed.join(" "), line.trim())));
        }
        Ok(None)
    }

    /// Brings the copy up to date. What has not changed is not written: cargo goes by the time of a file.
    fn copy_tree(&self, tree: &Path) -> Result<()> {
        let mut git = Command::new("git");
        git.current_dir(&self.root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let listed = run(&mut git).context("the twins are copied from a git checkout")?;
        let files: BTreeSet<&str> = listed.split('\0').filter(|file| self.root.join(file).is_file()).collect();
        for file in &files {
            let (contents, copy) = (fs::read(self.root.join(file))?, tree.join(file));
            if fs::read(&copy).ok().as_ref() != Some(&contents) {
                fs::create_dir_all(copy.parent().context("a file has a directory")?)?;
                fs::write(copy, contents)?;
            }
        }
        for copy in files_under(tree)? {
            let relative = copy.strip_prefix(tree)?.to_str().context("a path of the tree is text")?.to_owned();
            if !files.contains(relative.as_str()) {
                fs::remove_file(copy)?;
            }
        }
        Ok(())
    }

    /// Libraries from outside of the workspace are the same in the twins; they are built once. Copied, not linked: cargo
    /// writes some of its files in place.
    fn take_over_libraries(&self, debug: &Path) -> Result<()> {
        let ours = self.directory.join("target/debug");
        if ours.exists() {
            return Ok(());
        }
        for part in [".fingerprint", "build", "deps"] {
            fs::create_dir_all(ours.join(part))?;
            for entry in fs::read_dir(debug.join(part)).into_iter().flatten() {
                let path = entry?.path();
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                let is_library = part != "deps" || name.starts_with("lib") || name.ends_with(".d");
                if is_library && !name.contains("holdfast") {
                    run(Command::new("cp").args(["--archive", "--reflink=auto"]).arg(&path).arg(ours.join(part)))?;
                }
            }
        }
        Ok(())
    }
}

const METADATA: [&str; 4] = ["metadata", "--no-deps", "--offline", "--format-version=1"];

/// The text of every query before the patch.
fn queries(tree: &Path) -> Result<Vec<(PathBuf, String)>> {
    let files =
        files_under(tree)?.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "sql"));
    files.map(|file| Ok((file.clone(), fs::read_to_string(file)?))).collect()
}

/// Checked queries are compiled against metadata that is filed under their text's SHA-256: a patched query takes over
/// the metadata of the original. Answers whether there is metadata at all.
fn renew_metadata(tree: &Path, originals: &[(PathBuf, String)]) -> Result<bool> {
    let metadata: Vec<PathBuf> = files_under(tree)?
        .into_iter()
        .filter(|file| file.parent().is_some_and(|parent| parent.ends_with(".sqlx")))
        .collect();
    for (file, original) in originals {
        let patched = fs::read_to_string(file)?;
        if patched == *original {
            continue;
        }
        for path in &metadata {
            let mut described: Value = serde_json::from_slice(&fs::read(path)?)?;
            if described["query"] == original.as_str() {
                let hash = sha256(&patched);
                described["query"] = patched.clone().into();
                described["hash"] = hash.clone().into();
                let beside = path.with_file_name(format!("query-{hash}.json"));
                fs::write(beside, serde_json::to_vec_pretty(&described)?)?;
            }
        }
    }
    Ok(!metadata.is_empty())
}

fn sha256(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn files_under(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_under(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
