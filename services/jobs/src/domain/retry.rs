//! When a failed attempt is tried again.

use std::time::Duration;

use chrono::SubsecRound;

use super::job::Time;

/// How an intent is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The back-off after the first failure; it doubles with each further one.
    pub initial: Duration,
    pub cap: Duration,
    /// No retry begins later than this after the first failure.
    pub window: Duration,
}

/// The jitter is up to half of the back-off.
const JITTER: f64 = 0.5;

impl RetryPolicy {
    /// When to try again after attempt number `attempt` (from 1) failed at `now`, or None where no retry is left.
    /// `chance` is uniform in 0..1.
    pub fn next(&self, attempt: i32, attempts_max: i32, retry_since: Time, now: Time, chance: f64) -> Option<Time> {
        if attempt >= attempts_max {
            return None;
        }
        let doublings = u32::try_from(attempt - 1).unwrap_or(0).min(30);
        let back_off = self.initial.saturating_mul(1 << doublings).min(self.cap);
        let next = now + back_off.mul_f64(1.0 + JITTER * chance.clamp(0.0, 1.0));
        // Microseconds, as PostgreSQL keeps them: what a caller is told is what it reads later.
        let next = next.trunc_subsecs(6);
        (next <= retry_since + self.window).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    const POLICY: RetryPolicy =
        RetryPolicy { initial: Duration::from_secs(1), cap: Duration::from_secs(60), window: Duration::from_secs(600) };

    fn next_after_s(attempt: i32, chance: f64) -> Option<f64> {
        let now = DateTime::UNIX_EPOCH;
        POLICY.next(attempt, 20, now, now, chance).map(|at| (at - now).as_seconds_f64())
    }

    #[test]
    fn doubles_up_to_the_cap_with_half_jitter() {
        assert_eq!(next_after_s(1, 0.0), Some(1.0));
        assert_eq!(next_after_s(1, 1.0), Some(1.5));
        assert_eq!(next_after_s(4, 0.0), Some(8.0));
        assert_eq!(next_after_s(12, 1.0), Some(90.0));
    }

    #[test]
    fn ends_with_the_attempts_or_the_window() {
        let start = DateTime::UNIX_EPOCH;
        assert_eq!(POLICY.next(5, 5, start, start, 0.0), None);
        assert_eq!(POLICY.next(2, 5, start, start + Duration::from_secs(599), 0.0), None);
        assert!(POLICY.next(2, 5, start, start + Duration::from_secs(598), 0.0).is_some());
    }
}
