//! Who may know whom, read from cargo's metadata and from every path in the sources. A forbidden arrow fails the build's
//! quickest test; the rules are tables, so that a new arrow is a reviewed difference. And what a service may be told, which
//! a page has to say.
#![forbid(unsafe_code)]

mod calls;
mod configuration;
mod crates;
mod metrics;
mod modules;
mod sources;
mod workspace;

use workspace::Workspace;

fn holds(violations: Vec<String>) {
    assert!(violations.is_empty(), "{} violations:\n  {}", violations.len(), violations.join("\n  "));
}

#[test]
fn crates_know_only_whom_they_may() {
    holds(crates::forbidden(&Workspace::read().packages));
}

#[test]
fn the_testkit_is_for_tests_alone() {
    holds(crates::testkit_outside_of_tests(&Workspace::read().packages));
}

#[test]
fn modules_of_a_service_know_only_whom_they_may() {
    let workspace = Workspace::read();
    let services = workspace.packages.iter().filter(|package| package.is_service());
    holds(services.flat_map(|service| modules::forbidden(&service.name, &sources::of(&service.src()))).collect());
}

#[test]
fn calls_from_service_to_service_are_listed() {
    holds(calls::unlisted(&Workspace::read()));
}

#[test]
fn every_crate_forbids_unsafe_code() {
    holds(sources::without_forbid(&Workspace::read()));
}

#[test]
fn no_file_is_longer_than_500_lines() {
    holds(sources::too_long(&Workspace::read()));
}

#[test]
fn every_key_of_the_configuration_has_its_row() {
    holds(configuration::differences(&Workspace::read().root));
}

#[test]
fn every_metric_has_its_row() {
    holds(metrics::differences(&Workspace::read().root));
}
