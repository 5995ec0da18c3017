//! One window over a running load: what the clients saw, what the processes used, what was waiting before and after.

use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::{
    load::{Board, Counts},
    measure::{
        conditions::{WriteRates, Written},
        processes::{ProgramUse, Snapshot, snapshot, usage},
    },
    stack::Stack,
};

/// What waits at one moment.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Backlog {
    /// Jobs acknowledged to a client and not done.
    pub jobs: u64,
    /// Events that no relay has published.
    pub events: i64,
}

impl Backlog {
    async fn look(stack: &Stack, board: &Board) -> Result<Self> {
        let events = sqlx::query_scalar("SELECT count(*) FROM jobs.outbox WHERE published_at IS NULL");
        Ok(Self { jobs: board.outstanding(), events: events.fetch_one(stack.admin()).await? })
    }
}

pub struct Observed {
    pub counts: Counts,
    pub window_s: f64,
    pub at_start: Backlog,
    pub at_end: Backlog,
    pub processes: Vec<ProgramUse>,
    pub writes: WriteRates,
}

impl Observed {
    pub fn per_s(&self, count: u64) -> f64 {
        count as f64 / self.window_s
    }
}

/// Opens a window now and returns when it has closed.
pub async fn observe(stack: &Stack, board: &Board, idle: &Snapshot, window: Duration) -> Result<Observed> {
    let at_start = Backlog::look(stack, board).await?;
    let written = Written::look(stack.admin()).await?;
    let opened = snapshot(stack)?;
    board.open_window(window);
    sleep(window).await;
    let closed = snapshot(stack)?;
    let at_end = Backlog::look(stack, board).await?;
    let window_s = window.as_secs_f64();
    let writes = written.until(Written::look(stack.admin()).await?, window_s);
    let counts = board.counts();
    Ok(Observed { counts, window_s, at_start, at_end, processes: usage(idle, &opened, &closed, window_s)?, writes })
}
