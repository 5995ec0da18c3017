//! docs/metrics.md has a row for every metric that is described in a source, and for no other.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const PAGE: &str = "docs/metrics.md";

pub fn differences(root: &Path) -> Vec<String> {
    let mut described = BTreeSet::new();
    for folder in ["crates", "services"] {
        each_source(&root.join(folder), &mut |text| described.extend(names(&text)));
    }
    let page = fs::read_to_string(root.join(PAGE)).expect("the page can be read");
    let rows: BTreeSet<String> =
        page.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned())).collect();
    let missing = described.difference(&rows).map(|name| format!("{PAGE} lacks {name}"));
    let invented = rows.difference(&described).map(|name| format!("{PAGE} has {name}, which nothing describes"));
    missing.chain(invented).collect()
}

fn each_source(folder: &Path, look: &mut impl FnMut(String)) {
    let entries = fs::read_dir(folder).expect("a folder can be read").flatten();
    for path in entries.map(|entry| entry.path()).collect::<Vec<PathBuf>>() {
        if path.is_dir() {
            each_source(&path, look);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            look(fs::read_to_string(&path).expect("a source file is text"));
        }
    }
}

/// The first text behind each `describe_<kind>!(`.
fn names(source: &str) -> impl Iterator<Item = String> {
    let described = source
        .split("describe_")
        .skip(1)
        .filter(|rest| ["counter!(", "gauge!(", "histogram!("].iter().any(|kind| rest.starts_with(kind)));
    described.filter_map(|rest| Some(rest.split('"').nth(1)?.to_owned()))
}

#[test]
fn names_are_found_wherever_they_stand() {
    let source = "describe_counter!(\"a_total\", \"A\");\n describe_gauge!(\n \"b\",\n Unit::Count, \"B\");";
    assert_eq!(names(source).collect::<Vec<_>>(), ["a_total", "b"]);
}
