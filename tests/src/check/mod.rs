//! Checkers: they read logs, streams and raw tables, and answer what they found wrong. One violation is one line.

pub mod dags;
pub mod jobs;
pub mod serial;
pub mod streams;
pub mod tables;
pub mod watches;
pub mod windows;
