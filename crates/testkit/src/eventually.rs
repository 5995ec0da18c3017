//! Awaiting a condition.

use std::{
    fmt::Debug,
    future::Future,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};

/// What a look at the condition found: `bool`, `Option` and `Result` are probes.
pub trait Probe {
    type Value;

    /// The value, or what was found instead.
    fn settled(self) -> Result<Self::Value, String>;
}

impl Probe for bool {
    type Value = ();

    fn settled(self) -> Result<(), String> {
        self.then_some(()).ok_or_else(|| "it was false".to_owned())
    }
}

impl<T> Probe for Option<T> {
    type Value = T;

    fn settled(self) -> Result<T, String> {
        self.ok_or_else(|| "there was nothing".to_owned())
    }
}

impl<T, E: Debug> Probe for Result<T, E> {
    type Value = T;

    fn settled(self) -> Result<T, String> {
        self.map_err(|error| format!("{error:?}"))
    }
}

/// Looks again and again until the condition holds, and fails with the last finding when `within` has passed.
pub async fn eventually<P, F>(mut look: impl FnMut() -> F, within: Duration) -> Result<P::Value>
where
    P: Probe,
    F: Future<Output = P>,
{
    let began = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        let found = match look().await.settled() {
            Ok(value) => return Ok(value),
            Err(found) => found,
        };
        if began.elapsed() >= within {
            return Err(anyhow!("not within {within:?}: {found}"));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
