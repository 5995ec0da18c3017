//! The workspace as cargo sees it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

pub struct Workspace {
    pub root: PathBuf,
    pub packages: Vec<Package>,
}

#[derive(Debug, Clone)]
pub struct Package {
    pub name: String,
    pub directory: PathBuf,
    pub dependencies: Vec<Dependency>,
    /// The root file of each target that ships: libraries and programs.
    pub roots: Vec<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    pub name: String,
    pub is_dev: bool,
}

impl Package {
    pub fn is_service(&self) -> bool {
        self.directory.parent().is_some_and(|parent| parent.ends_with("services"))
    }

    pub fn src(&self) -> PathBuf {
        self.directory.join("src")
    }
}

impl Workspace {
    pub fn read() -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
        Self { root: path(&metadata["workspace_root"]), packages: array(&metadata["packages"]).map(package).collect() }
    }
}

fn package(package: &Value) -> Package {
    let manifest = path(&package["manifest_path"]);
    Package {
        name: text(&package["name"]),
        directory: manifest.parent().map(Path::to_owned).unwrap_or_default(),
        dependencies: array(&package["dependencies"])
            .map(|dependency| Dependency { name: text(&dependency["name"]), is_dev: dependency["kind"] == "dev" })
            .collect(),
        roots: array(&package["targets"])
            .filter(|target| ships(target))
            .map(|target| path(&target["src_path"]))
            .collect(),
    }
}

fn ships(target: &Value) -> bool {
    array(&target["kind"]).all(|kind| matches!(kind.as_str(), Some("lib" | "bin")))
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("an array in cargo's metadata").iter()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text in cargo's metadata").to_owned()
}

fn path(value: &Value) -> PathBuf {
    text(value).into()
}
