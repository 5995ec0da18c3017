//! When a call is sent again, and after how long.

use std::time::Duration;

use rand::Rng as _;
use tokio::time::Instant;
use tower::retry::budget::{Budget as _, TpsBudget};

/// How calls are sent again. What is sent again at all, the error says: [`Error::is_retryable`](crate::Error::is_retryable).
#[derive(Debug, Clone)]
pub struct Retry {
    /// The bound of the first delay; it doubles from one to the next. Each delay is drawn from zero to its bound, so that
    /// those who failed together do not come back together.
    pub delay_first: Duration,
    /// The highest bound.
    pub delay_max: Duration,
    /// Of all calls within ten seconds, how many more may be retries, from 0.0 to 1.0: a service in trouble sees this
    /// much more than its load, not a multiple of it.
    pub budget_share: f32,
    /// Retries a second that are allowed beside that share, for those who call rarely.
    pub budget_per_s: u32,
}

/// Then; far away where that is no time at all, since `Duration::MAX` is how many say "without limit".
pub(crate) fn in_future(after: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    let now = Instant::now();
    now.checked_add(after).unwrap_or(now + FAR)
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            delay_first: Duration::from_millis(100),
            delay_max: Duration::from_secs(5),
            budget_share: 0.2,
            budget_per_s: 10,
        }
    }
}

impl Retry {
    /// Before retry number `retries` (0 for the first): full jitter, on top of what the service asks for.
    pub(crate) fn delay(&self, retries: u32, retry_after: Option<Duration>) -> Duration {
        retry_after.unwrap_or_default() + self.bound(retries).mul_f64(rand::rng().random())
    }

    fn bound(&self, retries: u32) -> Duration {
        let factor = 1_u32.checked_shl(retries).unwrap_or(u32::MAX);
        self.delay_first.saturating_mul(factor).min(self.delay_max)
    }

    pub(crate) fn budget(&self) -> Budget {
        Budget(TpsBudget::new(Duration::from_secs(10), self.budget_per_s, self.budget_share.clamp(0.0, 1.0)))
    }
}

pub(crate) struct Budget(TpsBudget);

impl Budget {
    pub(crate) fn call(&self) {
        self.0.deposit();
    }

    /// Whether one more retry is allowed now.
    pub(crate) fn retry(&self) -> bool {
        self.0.withdraw()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_limit_is_far_away_and_no_panic() {
        assert!(in_future(Duration::MAX) > in_future(Duration::from_secs(365 * 24 * 3600)));
    }

    #[test]
    fn bounds_double_up_to_the_highest_and_never_overflow() {
        let retry = Retry::default();
        let bounds: Vec<u128> = [0, 1, 2, 5, 6, 31, 32, 4_000].map(|n| retry.bound(n).as_millis()).to_vec();
        assert_eq!(bounds, [100, 200, 400, 3_200, 5_000, 5_000, 5_000, 5_000]);
    }

    #[test]
    fn a_delay_is_anywhere_below_its_bound_and_never_before_the_service_wants_it() {
        let retry = Retry::default();
        let delays: Vec<Duration> = (0..1_000).map(|_| retry.delay(2, None)).collect();
        assert!(delays.iter().all(|delay| *delay <= Duration::from_millis(400)));
        let short = delays.iter().filter(|delay| **delay < Duration::from_millis(200)).count();
        assert!((350..650).contains(&short), "{short} of a thousand are in the lower half");
        let asked = retry.delay(0, Some(Duration::from_secs(3)));
        assert!((3_000..=3_100).contains(&asked.as_millis()), "{asked:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn retries_beyond_a_share_of_the_calls_are_not_made() {
        let budget = Retry { budget_share: 0.2, budget_per_s: 1, ..Retry::default() }.budget();
        let allowed = |budget: &Budget| (0..1_000).take_while(|_| budget.retry()).count();
        assert_eq!(allowed(&budget), 10, "one a second, for ten seconds");
        (0..100).for_each(|_| budget.call());
        assert_eq!(allowed(&budget), 20);
    }
}
