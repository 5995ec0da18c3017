//! One signal to stop, for everything in the process.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Clones follow the same signal.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// One that only [`begin`](Self::begin) triggers.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that SIGTERM and SIGINT trigger. A further signal ends the process at once: whoever sends it has waited enough.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let trigger = shutdown.clone();
        tokio::spawn(async move {
            let name = tokio::select! { _ = terminate.recv() => "SIGTERM", _ = interrupt.recv() => "SIGINT" };
            tracing::info!(signal = name, "draining");
            trigger.begin();
            let number = tokio::select! { _ = terminate.recv() => 15, _ = interrupt.recv() => 2 };
            tracing::warn!("second signal; ending without drain");
            std::process::exit(128 + number);
        });
        Ok(shutdown)
    }

    pub fn begin(&self) {
        self.0.cancel();
    }

    pub fn has_begun(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Resolves once the process is to stop.
    pub async fn begun(&self) {
        self.0.cancelled().await;
    }

    /// For streams and loops that end by themselves.
    pub fn token(&self) -> CancellationToken {
        self.0.clone()
    }
}
