//! A rate with room for a burst: as many at once as in a minute, then evenly.
//!
//! The state is one number, the time at which the bucket will be full again (the generic cell rate algorithm). The script
//! `counters/take.lua` does the same arithmetic.

const MINUTE_US: i64 = 60_000_000;

/// Takes `count` at a time `now_us`, all or none: when the bucket will be full again, or else in how many microseconds they can
/// be taken. More than a minute's worth can never be.
pub fn take(full_at_us: Option<i64>, now_us: i64, per_minute: i64, count: i64) -> Result<i64, i64> {
    let all_us = (MINUTE_US / per_minute).saturating_mul(count);
    let full_at_us = full_at_us.unwrap_or(now_us).max(now_us);
    let wait_us = full_at_us - now_us - MINUTE_US.saturating_sub(all_us);
    if wait_us > 0 { Err(wait_us) } else { Ok(full_at_us + all_us) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minutes_worth_at_once_and_then_one_at_a_time() {
        let (now, mut full_at) = (1_000_000, None);
        for _ in 0..20 {
            full_at = Some(take(full_at, now, 20, 1).expect("within the burst"));
        }
        assert_eq!(take(full_at, now, 20, 1), Err(3_000_000));
        assert_eq!(take(full_at, now + 2_999_999, 20, 1), Err(1));
        let full_at = take(full_at, now + 3_000_000, 20, 1).expect("one has come back");
        assert_eq!(take(Some(full_at), now + 3_000_000, 20, 1), Err(3_000_000));
        // A minute later it is as if nothing had been.
        assert_eq!(take(Some(full_at), now + 2 * MINUTE_US, 20, 1), Ok(now + 2 * MINUTE_US + 3_000_000));
    }
    #[test]
    fn many_are_taken_together_or_not_at_all() {
        let now = 1_000_000;
        for per_minute in [1, 7, 20, 999] {
            let one_by_one = (0..per_minute).try_fold(None, |full_at, _| take(full_at, now, per_minute, 1).map(Some));
            assert_eq!(take(None, now, per_minute, per_minute).map(Some), one_by_one);
            assert!(take(None, now, per_minute, per_minute + 1).is_err());
        }
        let full_at = take(None, now, 20, 15).expect("within the burst");
        assert_eq!(take(Some(full_at), now, 20, 6), Err(3_000_000));
        take(Some(full_at), now, 20, 5).expect("the rest of the burst");
    }
}
