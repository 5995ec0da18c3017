//! What a lock is, who may have it next, and under which token: pure, without I/O, clocks or randomness of its own.

pub mod board;
pub mod command;
pub mod entry;
pub mod head;
pub mod lease;
pub mod order;
pub mod resource;

use chrono::{DateTime, Utc};

pub type Time = DateTime<Utc>;
