//! The relay against real servers: PostgreSQL shared by the tests, a database and a Redis for each.

mod drain;
mod fencing;
mod harness;
mod leases;
mod loss;
mod order;
mod poison;
mod process;
mod signatures;
mod sources;
