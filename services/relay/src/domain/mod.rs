//! What the relay reasons about, without I/O.

pub mod batch;
pub mod cutoff;
pub mod lease;
pub mod parked;
pub mod source;
