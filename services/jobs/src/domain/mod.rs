//! What a job is and how it may move: pure, without I/O, clocks or randomness of its own.

pub mod job;
pub mod key;
pub mod payload;
pub mod payload_hash;
pub mod retry;
pub mod submission;
pub mod transition;
