//! What this instance knows of its own signs of life.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// One that could give none for a while does not judge others by theirs: the database was away, for
/// them too.
#[derive(Debug, Default)]
pub struct Signs(Mutex<Option<Unbroken>>);

/// Signs that came in time, one after the other.
#[derive(Debug, Clone, Copy)]
struct Unbroken {
    since: Instant,
    last: Instant,
}

impl Signs {
    pub fn given(&self, at: Instant, ttl: Duration) {
        let mut known = self.known();
        let since = known.filter(|known| at - known.last < ttl).map_or(at, |known| known.since);
        *known = Some(Unbroken { since, last: at });
    }

    /// Whether every instance that lives has had as long as its own lease to show it.
    pub fn may_judge(&self, ttl: Duration) -> bool {
        self.known().is_some_and(|known| known.since.elapsed() >= ttl && known.last.elapsed() < ttl)
    }

    fn known(&self) -> MutexGuard<'_, Option<Unbroken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(3);

    #[tokio::test(start_paused = true)]
    async fn who_was_silent_does_not_judge_others() {
        let signs = Signs::default();
        assert!(!signs.may_judge(TTL), "it has given none");
        let give_for = async |seconds: u64| {
            for _ in 0..seconds {
                signs.given(Instant::now(), TTL);
                tokio::time::advance(Duration::from_secs(1)).await;
            }
        };
        give_for(2).await;
        assert!(!signs.may_judge(TTL), "others may not have got to it");
        give_for(2).await;
        assert!(signs.may_judge(TTL));
        tokio::time::advance(TTL).await;
        assert!(!signs.may_judge(TTL), "the last is too old");
        give_for(1).await;
        assert!(!signs.may_judge(TTL), "it is the first again");
        give_for(3).await;
        assert!(signs.may_judge(TTL));
    }
}
