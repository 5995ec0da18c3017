//! Protobuf in and out: TryFrom with field paths on the way in, plain conversions on the way out. No look-ups.

pub mod approval;
pub mod event;
pub mod field;
pub mod job;
pub mod key;
mod media_type;
pub mod page;
pub mod project;
pub mod submit;
pub mod usage;
pub mod watch;
pub mod worker;
