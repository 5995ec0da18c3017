//! Calls from service to service. A service that calls another names its generated client; each such pair stands in
//! `service-calls.txt`, so that a new one is a reviewed difference.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::{
    sources::{self, Source},
    workspace::Workspace,
};

const LIST: &str = include_str!("service-calls.txt");
const BINDINGS: &str = "crates/proto/src/generated";

/// Each client's module in the bindings, and the contract behind it. A module's name is looked for rather than its whole
/// path, since `use holdfast_proto::jobs::v1 as pb` hides the rest.
type Clients = BTreeMap<String, String>;

pub fn unlisted(workspace: &Workspace) -> Vec<String> {
    let clients = clients(&workspace.root.join(BINDINGS));
    assert!(!clients.is_empty(), "no clients in {BINDINGS}");
    let services = workspace.packages.iter().filter(|package| package.is_service());
    let made = services.flat_map(|service| made(&service.name, &sources::of(&service.src()), &clients)).collect();
    differences(LIST, &made)
}

fn clients(bindings: &Path) -> Clients {
    let files = fs::read_dir(bindings).expect("the bindings can be read").map(|entry| entry.expect("an entry").path());
    let sources = files.filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
    let clients = sources.flat_map(|file| {
        let package = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        of_bindings(&package, &fs::read_to_string(&file).expect("a source file can be read"))
    });
    clients.collect()
}

/// As tonic writes them, one module a client.
fn of_bindings(package: &str, text: &str) -> Clients {
    let modules = text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(" {"));
    let services = modules.filter_map(|module| Some((module.to_owned(), module.strip_suffix("_client")?)));
    services.map(|(module, service)| (module, format!("{package}.{service}"))).collect()
}

fn made(service: &str, sources: &[Source], clients: &Clients) -> BTreeSet<String> {
    let names = sources.iter().flat_map(|source| source.paths.iter().flatten());
    names.filter_map(|name| clients.get(name)).map(|contract| format!("{service} -> {contract}")).collect()
}

fn differences(list: &str, made: &BTreeSet<String>) -> Vec<String> {
    let listed: BTreeSet<String> =
        list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect();
    let new = made.difference(&listed).map(|call| format!("{call} is not in service-calls.txt"));
    let gone = listed.difference(made).map(|call| format!("{call} is in service-calls.txt, and nobody makes it"));
    new.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::paths;

    fn made_by(text: &str) -> BTreeSet<String> {
        let clients = of_bindings("holdfast.jobs.v1", "pub mod job_service_client {\npub mod job_service_server {\n");
        let source = Source { file: "src/x.rs".into(), module: Vec::new(), paths: paths(text).unwrap() };
        made("holdfast-relay", &[source], &clients)
    }

    #[test]
    fn calls_are_found_however_the_client_is_named() {
        let call = BTreeSet::from(["holdfast-relay -> holdfast.jobs.v1.job_service".to_owned()]);
        assert_eq!(made_by("use holdfast_proto::jobs::v1::job_service_client::JobServiceClient as Jobs;"), call);
        assert_eq!(made_by("use holdfast_proto::jobs::v1 as pb; use pb::job_service_client::*;"), call);
        assert!(made_by("use holdfast_proto::jobs::v1::job_service_server::JobServiceServer;").is_empty());
    }

    #[test]
    fn new_calls_and_vanished_ones_are_found() {
        let made = BTreeSet::from(["a -> b".to_owned()]);
        assert_eq!(differences("# why\na -> b\n", &made), [""; 0]);
        assert_eq!(differences("", &made), ["a -> b is not in service-calls.txt"]);
        assert_eq!(differences("a -> b\na -> c\n", &made).len(), 1);
    }
}
