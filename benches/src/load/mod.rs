//! The load: submitters and workers over real connections, and the board on which both note what happened when.
//!
//! A job carries its number and the time of its submission in its idempotency key, so that a worker needs no look-up to
//! know how old it is. Both sides are one process: there is one clock.

mod board;
pub mod lockers;
mod pace;
pub mod pairs;
mod submitter;
mod tag;
mod workers;

pub use board::{Board, Counts};
pub use pace::{closed_loop, open_loop};
pub use submitter::Submitter;
pub use workers::Workers;

use std::time::Duration;

use anyhow::{Result, ensure};

/// Cores and connections of the client, stated with every figure.
pub const CONNECTIONS: usize = 64;

#[derive(Debug, Clone, Copy)]
pub struct Timing {
    pub warm_up: Duration,
    pub window: Duration,
}

/// A run in which calls failed measures something else.
pub fn ensure_clean(board: &Board) -> Result<()> {
    let failures = board.failures();
    ensure!(failures.is_empty(), "calls failed during the run: {failures:?}");
    Ok(())
}
