//! Arrows between crates.

use crate::workspace::Package;

/// Every crate of the workspace and which others of it it may know. Dev-dependencies count too, but for the testkit,
/// which has a rule of its own.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("holdfast-ids", &[]),
    ("holdfast-proto", &[]),
    ("holdfast-fault", &["proto", "ids"]),
    // What a team takes into its own programs: nothing of a service's side.
    ("holdfast-client", &["proto", "fault", "ids"]),
    ("holdfast-caller", &["fault", "ids"]),
    ("holdfast-pg", &["fault", "ids"]),
    ("holdfast-redis", &["fault", "ids"]),
    ("holdfast-events", &["proto", "pg", "redis", "fault", "ids"]),
    ("holdfast-telemetry", &["ids"]),
    ("holdfast-runtime", &["telemetry", "caller", "fault", "pg", "redis", "proto", "ids"]),
    ("holdfast-testkit", &["pg", "redis", "caller", "proto", "ids"]),
    // Starts services as processes and links none; calls them as any program would.
    ("holdfast-cli", &["client", "caller", "pg", "redis", "telemetry", "ids", "events"]),
    ("holdfast-jobs", PLATFORM),
    ("holdfast-locks", PLATFORM),
    ("holdfast-relay", PLATFORM),
    ("holdfast-system-tests", VERIFICATION),
    ("holdfast-benches", VERIFICATION),
];

const PLATFORM: &[&str] = &["runtime", "telemetry", "events", "caller", "pg", "redis", "fault", "proto", "ids"];
/// Never a service: what is verified is a process.
const VERIFICATION: &[&str] = &["testkit", "events", "caller", "pg", "redis", "fault", "proto", "ids"];

const TESTKIT: &str = "holdfast-testkit";
/// Crates that are tests as a whole.
const TESTS: [&str; 2] = ["holdfast-system-tests", "holdfast-benches"];

pub fn forbidden(packages: &[Package]) -> Vec<String> {
    let mut violations = Vec::new();
    for package in packages {
        let Some((_, known)) = MAY_KNOW.iter().find(|(name, _)| *name == package.name) else {
            violations.push(format!("{} is not in the table of who may know whom", package.name));
            continue;
        };
        let ours = package.dependencies.iter().filter(|dependency| packages.iter().any(|p| p.name == dependency.name));
        for dependency in ours.filter(|dependency| !(dependency.is_dev && dependency.name == TESTKIT)) {
            let short = dependency.name.trim_start_matches("holdfast-");
            let is_service = packages.iter().any(|package| package.name == dependency.name && package.is_service());
            if is_service || !known.contains(&short) {
                violations.push(format!("{} may not know {}", package.name, dependency.name));
            }
        }
    }
    violations
}

pub fn testkit_outside_of_tests(packages: &[Package]) -> Vec<String> {
    let users = packages.iter().filter(|package| !TESTS.contains(&package.name.as_str()));
    let linked = users.filter(|user| user.dependencies.iter().any(|d| d.name == TESTKIT && !d.is_dev));
    linked.map(|user| format!("{} links the testkit into what it ships", user.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, dependencies: &[(&str, bool)]) -> Package {
        let directory = if name == "holdfast-jobs" { "/w/services/jobs" } else { "/w/crates/x" };
        let dependencies =
            dependencies.iter().map(|(name, is_dev)| Dependency { name: (*name).to_owned(), is_dev: *is_dev });
        Package {
            name: name.to_owned(),
            directory: directory.into(),
            dependencies: dependencies.collect(),
            roots: Vec::new(),
        }
    }

    #[test]
    fn forbidden_arrows_are_found() {
        let jobs = package("holdfast-jobs", &[]);
        let ids = package("holdfast-ids", &[]);
        let found = |package: Package| forbidden(&[package, jobs.clone(), ids.clone()]);
        assert_eq!(found(package("holdfast-pg", &[("holdfast-ids", false), ("serde", false)])), [""; 0]);
        assert_eq!(found(package("holdfast-proto", &[("holdfast-ids", false)])).len(), 1);
        assert_eq!(found(package("holdfast-relay", &[("holdfast-jobs", true)])).len(), 1);
        assert_eq!(found(package("holdfast-system-tests", &[("holdfast-jobs", false)])).len(), 1);
        assert_eq!(found(package("holdfast-novelty", &[])).len(), 1);
    }

    #[test]
    fn a_shipped_testkit_is_found() {
        let as_dev = package("holdfast-pg", &[(TESTKIT, true)]);
        let shipped = package("holdfast-pg", &[(TESTKIT, false)]);
        assert_eq!(testkit_outside_of_tests(&[as_dev]), [""; 0]);
        assert_eq!(testkit_outside_of_tests(&[shipped]).len(), 1);
    }
}
