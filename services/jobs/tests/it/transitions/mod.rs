//! The pure transitions against the tables.
//!
//! A job here lives twice: as rows, moved by the service's store in the order of its use cases (lock, load, decide,
//! persist), and as an oracle that only ever went through the pure functions. Both decide every move; after every step
//! they must agree on the job, on where it stands in dispatch, on its history, its events and its project's counts.

mod budget;
mod compare;
mod exhaustive;
mod holds;
mod locked;
mod oracle;
mod project;
mod queue_clock;
mod random;
