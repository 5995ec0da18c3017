//! Source files: where they are, which paths they name.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, ItemMod, ItemUse, Meta, UseTree,
    visit::{self, Visit},
};

use crate::workspace::Workspace;

const LINES_MAX: usize = 500;

/// One file: the module it is, and every path that its code names.
pub struct Source {
    pub file: PathBuf,
    /// `["app", "submit"]` of `src/app/submit.rs`.
    pub module: Vec<String>,
    pub paths: BTreeSet<Vec<String>>,
}

pub fn of(src: &Path) -> Vec<Source> {
    files(src).into_iter().map(|file| read(src, file)).collect()
}

fn read(src: &Path, file: PathBuf) -> Source {
    let module = module_of(file.strip_prefix(src).expect("a file of the directory"));
    let text = fs::read_to_string(&file).expect("a source file can be read");
    let paths = paths(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    Source { file, module, paths }
}

fn module_of(relative: &Path) -> Vec<String> {
    let parts = relative.with_extension("");
    let parts = parts.iter().map(|part| part.to_string_lossy().into_owned());
    parts.filter(|part| !matches!(part.as_str(), "mod" | "lib" | "main")).collect()
}

/// Every path in a file: of `use` lines, unfolded, and of expressions, types, attributes and macros' names. Test
/// modules are left out: what a test needs is no arrow of the service.
pub fn paths(text: &str) -> syn::Result<BTreeSet<Vec<String>>> {
    let mut collector = Collector::default();
    collector.visit_file(&syn::parse_file(text)?);
    Ok(collector.paths)
}

#[derive(Default)]
struct Collector {
    paths: BTreeSet<Vec<String>>,
}

impl Collector {
    fn unfold(&mut self, tree: &UseTree, mut prefix: Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.unfold(&path.tree, prefix);
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.unfold(tree, prefix.clone())),
            UseTree::Name(name) => self.add(prefix, name.ident.to_string()),
            UseTree::Rename(rename) => self.add(prefix, rename.ident.to_string()),
            UseTree::Glob(_) => self.add(prefix, "*".to_owned()),
        }
    }

    fn add(&mut self, mut path: Vec<String>, last: String) {
        path.push(last);
        self.paths.insert(path);
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !module.attrs.iter().any(is_cfg_test) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.unfold(&item.tree, Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }
}

fn is_cfg_test(attribute: &Attribute) -> bool {
    matches!(&attribute.meta, Meta::List(list) if list.path.is_ident("cfg") && list.tokens.to_string() == "test")
}

/// Libraries and programs that do not say `#![forbid(unsafe_code)]` themselves, and crates whose other targets are not
/// held to it by the workspace's lints.
pub fn without_forbid(workspace: &Workspace) -> Vec<String> {
    let mut violations = roots_without_forbid(workspace);
    for package in &workspace.packages {
        let manifest = fs::read_to_string(package.directory.join("Cargo.toml")).expect("a manifest can be read");
        if !manifest.contains("[lints]\nworkspace = true") {
            violations.push(format!("{} does not take the workspace's lints", package.name));
        }
    }
    violations
}

fn roots_without_forbid(workspace: &Workspace) -> Vec<String> {
    let roots = workspace.packages.iter().flat_map(|package| &package.roots);
    let unguarded = roots.filter(|root| {
        let text = fs::read_to_string(root).expect("a target's root can be read");
        !forbids_unsafe(&text)
    });
    unguarded.map(|root| format!("{} does not forbid unsafe code", root.display())).collect()
}

fn forbids_unsafe(text: &str) -> bool {
    text.lines().any(|line| line.trim() == "#![forbid(unsafe_code)]")
}

pub fn too_long(workspace: &Workspace) -> Vec<String> {
    let directories = ["crates", "services", "tests", "benches"].map(|directory| workspace.root.join(directory));
    let files = directories.iter().flat_map(|directory| files(directory));
    let written = files.filter(|file| !file.components().any(|part| part.as_os_str() == "generated"));
    written
        .filter_map(|file| {
            let lines = fs::read_to_string(&file).expect("a source file can be read").lines().count();
            (lines > LINES_MAX).then(|| format!("{} has {lines} lines", file.display()))
        })
        .collect()
}

/// The Rust files under a directory, in order.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("a directory can be read").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_wherever_they_stand() {
        let text = "
            use std::{fmt, collections::{BTreeMap as Map, *}};
            #[tonic::async_trait] impl a::B for c::D<e::F> { fn g() { h::i!(); crate::store::j(); } }
            #[cfg(test)] mod tests { use hidden::thing; }
        ";
        let found: Vec<String> = paths(text).unwrap().iter().map(|path| path.join("::")).collect();
        for path in [
            "std::fmt",
            "std::collections::BTreeMap",
            "std::collections::*",
            "tonic::async_trait",
            "a::B",
            "c::D",
            "e::F",
            "h::i",
            "crate::store::j",
        ] {
            assert!(found.iter().any(|found| found == path), "{path} in {found:?}");
        }
        assert!(!found.iter().any(|found| found.contains("hidden")), "{found:?}");
    }

    #[test]
    fn modules_are_named_by_their_files() {
        assert_eq!(module_of(Path::new("app/submit.rs")), ["app", "submit"]);
        assert_eq!(module_of(Path::new("app/mod.rs")), ["app"]);
        assert_eq!(module_of(Path::new("lib.rs")), [""; 0]);
    }

    #[test]
    fn a_missing_forbid_is_found() {
        assert!(forbids_unsafe("//! Doc.\n#![forbid(unsafe_code)]\n"));
        assert!(!forbids_unsafe("//! Doc.\n// #![forbid(unsafe_code)]\n"));
    }
}
