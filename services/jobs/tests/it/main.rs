//! The jobs service as its clients meet it: real processes over real PostgreSQL and Redis.

mod access;
mod coalescing;
mod contract;
mod keys;
mod limits;
mod support;
mod tasks;
mod tenancy;
mod workers;
