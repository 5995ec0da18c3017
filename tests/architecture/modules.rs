//! Arrows between the modules of a service, and which libraries each module may name. Why there are these:
//! `docs/decisions/0008-module-arrows.md`.
//!
//! The root of a service (lib.rs, main.rs) puts it together and may know everything.

use std::collections::BTreeSet;

use crate::sources::Source;

struct Rules {
    service: &'static str,
    /// Each module of the service and which others of it it may know.
    layers: &'static [(&'static str, &'static [&'static str])],
    /// Each of these libraries and the modules that may name it.
    libraries: &'static [(&'static str, &'static [&'static str])],
}

const RULES: &[Rules] = &[
    Rules {
        service: "holdfast-jobs",
        layers: &[
            ("rpc", &["wire", "app", "metrics", "error"]),
            // What it converts: requests into what the use cases ask for, their answers into responses.
            ("wire", &["domain", "app", "store"]),
            ("app", &["domain", "store", "hints", "counters", "metrics", "error"]),
            ("tasks", &["app", "domain", "store", "config", "metrics"]),
            // Which of its statements are timed.
            ("store", &["domain", "metrics"]),
            ("domain", &[]),
            ("policy", &["app", "domain", "config", "metrics"]),
            // What it carries from instance to instance.
            ("hints", &["app"]),
            ("counters", &["domain"]),
            ("metrics", &["domain"]),
            ("error", &["domain"]),
            ("config", &["app", "domain", "store"]),
            ("access", &[]),
        ],
        libraries: &[
            // The call for a snapshot of policy, beside the service's own contracts.
            ("tonic", &["rpc", "wire", "policy"]),
            ("tonic_types", &["rpc", "wire"]),
            ("prost", &["rpc", "wire"]),
            ("prost_types", &["rpc", "wire"]),
            ("holdfast_proto", &["rpc", "wire", "policy"]),
            ("sqlx", &["store"]),
            ("fred", &["hints", "counters"]),
            // Its configuration is part of the service's.
            ("holdfast_redis", &["hints", "counters", "config", "policy"]),
            ("tokio", &["rpc", "app", "hints", "counters", "tasks", "policy"]),
            ("holdfast_pg", &["app", "store", "tasks", "config", "error"]),
            ("holdfast_runtime", &["rpc", "wire", "tasks", "access", "config", "policy"]),
        ],
    },
    Rules {
        service: "holdfast-locks",
        layers: &[
            ("rpc", &["wire", "app", "domain", "metrics", "error"]),
            ("wire", &["domain", "app", "store", "error"]),
            ("app", &["domain", "store", "hints", "mirror", "metrics", "error"]),
            ("tasks", &["app", "domain", "store", "config", "metrics"]),
            ("store", &["domain", "metrics"]),
            ("domain", &[]),
            // Whom it wakes.
            ("hints", &["app", "domain"]),
            // What a heartbeat left, which the store answers.
            ("mirror", &["domain", "store"]),
            ("metrics", &["domain"]),
            ("error", &["domain"]),
            ("config", &["app"]),
            // How long a request may wait.
            ("access", &["domain"]),
        ],
        libraries: &[
            ("tonic", &["rpc", "wire"]),
            ("tonic_types", &["rpc", "wire"]),
            ("prost", &["rpc", "wire"]),
            ("prost_types", &["rpc", "wire"]),
            ("holdfast_proto", &["rpc", "wire"]),
            ("sqlx", &["store"]),
            ("fred", &["hints", "mirror"]),
            // Its configuration is part of the service's.
            ("holdfast_redis", &["hints", "mirror", "config"]),
            ("tokio", &["rpc", "app", "hints", "mirror", "tasks"]),
            ("holdfast_pg", &["app", "store", "tasks", "config", "error"]),
            ("holdfast_runtime", &["rpc", "wire", "tasks", "access", "config"]),
        ],
    },
    Rules {
        service: "holdfast-relay",
        layers: &[
            (
                "relay",
                &["publisher", "membership", "backlog", "config", "domain", "store", "stream", "metrics", "error"],
            ),
            ("backlog", &["membership", "store", "metrics", "domain", "error"]),
            ("publisher", &["synchronise", "membership", "store", "stream", "domain", "metrics", "error"]),
            ("synchronise", &["store", "stream", "domain", "metrics", "error"]),
            ("membership", &["store", "domain", "metrics", "error"]),
            ("store", &["domain"]),
            ("stream", &["domain"]),
            ("domain", &[]),
            ("metrics", &["domain", "store"]),
            ("error", &[]),
            ("config", &["domain", "publisher", "relay"]),
        ],
        libraries: &[
            ("sqlx", &["store"]),
            ("fred", &["stream"]),
            // The hint that the outbox has rows, what a failure is called, and where Redis is.
            ("holdfast_redis", &["stream", "relay", "error", "config"]),
            ("holdfast_pg", &["store", "membership", "error", "config"]),
            ("tokio", &["relay", "backlog", "publisher", "membership", "synchronise"]),
            ("tonic", &[]),
            ("prost", &[]),
            ("holdfast_proto", &[]),
        ],
    },
];

pub fn forbidden(service: &str, sources: &[Source]) -> Vec<String> {
    match RULES.iter().find(|rules| rules.service == service) {
        Some(rules) => sources.iter().flat_map(|source| of_source(rules, source)).collect(),
        None => vec![format!("{service} has no table of its modules")],
    }
}

fn of_source(rules: &Rules, source: &Source) -> Vec<String> {
    let Some(own) = source.module.first() else { return Vec::new() };
    let file = source.file.display();
    let Some((_, known)) = rules.layers.iter().find(|(module, _)| module == own) else {
        return vec![format!("{file}: module {own} is not in the table of {}", rules.service)];
    };
    let mut violations = BTreeSet::new();
    for path in &source.paths {
        let written = path.join("::");
        if let Some(module) = module_named(rules, &source.module, path)
            && module != *own
            && !known.contains(&module.as_str())
        {
            violations.insert(format!("{file}: {own} may not know {module}: {written}"));
        }
        // A library that is re-exported is named further back: holdfast_redis::fred.
        let libraries = rules.libraries.iter().filter(|(library, _)| path.iter().take(2).any(|name| name == library));
        for (library, _) in libraries.filter(|(_, modules)| !modules.contains(&own.as_str())) {
            violations.insert(format!("{file}: {own} may not use {library}: {written}"));
        }
    }
    violations.into_iter().collect()
}

/// The top module of the same service that a path leads into.
fn module_named(rules: &Rules, module: &[String], path: &[String]) -> Option<String> {
    let mut at = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "self" => module.to_vec(),
        "super" => module[..module.len() - 1].to_vec(),
        _ => return None,
    };
    for name in &path[1..] {
        match name.as_str() {
            "super" => drop(at.pop()),
            _ => at.push(name.clone()),
        }
    }
    let top = at.into_iter().next()?;
    rules.layers.iter().any(|(layer, _)| *layer == top).then_some(top)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::paths;

    fn found(module: &[&str], text: &str) -> Vec<String> {
        let module = module.iter().map(|name| (*name).to_owned()).collect();
        let source = Source { file: "src/x.rs".into(), module, paths: paths(text).unwrap() };
        forbidden("holdfast-jobs", &[source])
    }

    #[test]
    fn allowed_arrows_pass() {
        assert_eq!(found(&["app", "submit"], "use crate::{domain::job, store::submit}; use super::Core;"), [""; 0]);
        assert_eq!(found(&["rpc"], "use crate::app::App; use tonic::Status;"), [""; 0]);
        assert_eq!(found(&[], "use crate::{app, rpc, store, tasks}; use holdfast_redis::Redis;"), [""; 0]);
    }

    #[test]
    fn forbidden_arrows_are_found_however_they_are_written() {
        for (module, text) in [
            (["domain", "job"], "use crate::store::rows;"),
            (["domain", "job"], "fn f() -> crate::app::App { loop {} }"),
            (["store", "read"], "use super::super::app::App;"),
            (["store", "read"], "use crate::{domain::job, app::{limits::Limits, self}};"),
            (["rpc", "jobs"], "use crate::store::read;"),
            (["app", "read"], "use crate::rpc;"),
        ] {
            assert!(!found(&module, text).is_empty(), "{text} in {module:?}");
        }
    }

    #[test]
    fn forbidden_libraries_are_found_wherever_they_are_named() {
        for (module, text) in [
            (["domain", "job"], "use sqlx::Row;"),
            (["domain", "job"], "async fn f() { tokio::time::sleep(d).await }"),
            (["app", "read"], "#[tonic::async_trait] impl A for B {}"),
            (["app", "read"], "fn f() { sqlx::query!(\"SELECT 1\"); }"),
            (["store", "read"], "use holdfast_redis::fred::clients::Client;"),
            (["store", "read"], "fn f(m: impl prost::Message) {}"),
        ] {
            assert!(!found(&module, text).is_empty(), "{text} in {module:?}");
        }
    }

    #[test]
    fn a_new_module_needs_its_place() {
        assert_eq!(found(&["novelty"], "").len(), 1);
        assert_eq!(forbidden("holdfast-novelty", &[]).len(), 1);
    }
}
