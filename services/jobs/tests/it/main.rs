//! The jobs service as its clients meet it: real processes over real PostgreSQL and Redis.

mod access;
mod approvals;
mod bad_input;
mod clocks;
mod coalescing;
mod contract;
mod delegation;
mod dependencies;
mod growth;
mod keys;
mod labels;
mod limits;
mod measures;
mod outage;
mod plans;
mod privacy;
mod projects;
mod support;
mod tasks;
mod tenancy;
mod tenant_walk;
mod traces;
mod transitions;
mod watch;
mod workers;
