//! Protobuf in and out: field paths on the way in, plain conversions on the way out. No look-ups.

pub mod acquire;
pub mod event;
pub mod lock;
pub mod page;
