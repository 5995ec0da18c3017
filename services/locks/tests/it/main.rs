//! The locks service as its clients meet it: real processes over real PostgreSQL and Redis.

mod access;
mod acquiring;
mod asks;
mod bad_input;
mod drain;
mod ending;
mod fence;
mod hold;
mod lists;
mod mirror;
mod outage;
mod races;
mod several;
mod support;
mod tasks;
mod tenancy;
mod tokens;
mod unknown;
mod waiting;
mod watch;
