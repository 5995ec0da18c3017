//! A rate with room for a burst: as many at once as in a minute, then evenly.
//!
//! The state is one number, the time at which the bucket will be full again (the generic cell rate algorithm). The script
//! `counters/take.lua` does the same arithmetic.

const MINUTE_US: i64 = 60_000_000;

/// Takes one at a time `now_us`: when the bucket will be full again, or else in how many microseconds one can be taken.
pub fn take(full_at_us: Option<i64>, now_us: i64, per_minute: i64) -> Result<i64, i64> {
    let each_us = MINUTE_US / per_minute;
    let full_at_us = full_at_us.unwrap_or(now_us).max(now_us);
    let wait_us = full_at_us - now_us - (MINUTE_US - each_us);
    if wait_us > 0 { Err(wait_us) } else { Ok(full_at_us + each_us) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minutes_worth_at_once_and_then_one_at_a_time() {
        let (now, mut full_at) = (1_000_000, None);
        for _ in 0..20 {
            full_at = Some(take(full_at, now, 20).expect("within the burst"));
        }
        assert_eq!(take(full_at, now, 20), Err(3_000_000));
        assert_eq!(take(full_at, now + 2_999_999, 20), Err(1));
        let full_at = take(full_at, now + 3_000_000, 20).expect("one has come back");
        assert_eq!(take(Some(full_at), now + 3_000_000, 20), Err(3_000_000));
        // A minute later it is as if nothing had been.
        assert_eq!(take(Some(full_at), now + 2 * MINUTE_US, 20), Ok(now + 2 * MINUTE_US + 3_000_000));
    }
}
