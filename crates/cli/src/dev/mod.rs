//! The stack on one machine: PostgreSQL, PgBouncer where there is one, Redis and every service as child processes of `holdfast up`, with all they
//! need and leave behind under one directory.
//!
//! Nothing outside the directory and the chosen ports is touched: no system cluster, no service manager. Children run
//! in process groups of their own, so that Ctrl-C reaches this process alone and the order of stopping is ours; they
//! are told by the kernel when this process dies, however it dies; and what survives even that is found by its pid file
//! and stopped by the next `up`.

mod account;
mod child;
mod layout;
mod orphans;
mod pgbouncer;
mod ports;
mod postgres;
mod redis;
mod secrets;
mod services;
mod stack;

pub(crate) use child::{ChildSpec, RunChildArgs, Supervised, command as child_command, run_child};
pub(crate) use layout::{Layout, write_private};
pub(crate) use pgbouncer::is_recent as pgbouncer_is_recent;
pub(crate) use ports::Ports;
pub(crate) use postgres::connect_admin;
pub(crate) use services::{EVENT_KEY_ID, TENANT, TOUR_PARALLEL_PROJECTS, TOUR_SERIAL_PROJECT};
pub(crate) use stack::{Stack, StackInfo};
