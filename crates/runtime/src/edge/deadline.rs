//! How long a unary call may take.

use std::time::{Duration, Instant};

use http::HeaderMap;

/// The client's `grpc-timeout` or the server's cap, whichever comes first.
pub(super) fn of(headers: &HeaderMap, received: Instant, cap: Duration) -> Instant {
    let asked = headers.get("grpc-timeout").and_then(|value| value.to_str().ok()).and_then(parse);
    received + asked.map_or(cap, |asked| asked.min(cap))
}

/// At most eight digits and a unit. None where malformed: the cap then holds.
fn parse(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_the_protocol_writes_them() {
        assert_eq!(parse("1H"), Some(Duration::from_secs(3600)));
        assert_eq!(parse("2M"), Some(Duration::from_secs(120)));
        assert_eq!(parse("99999999S"), Some(Duration::from_secs(99_999_999)));
        assert_eq!(parse("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse("7u"), Some(Duration::from_micros(7)));
        assert_eq!(parse("7n"), Some(Duration::from_nanos(7)));
        for malformed in ["", "S", "5", "5s", "-5S", "1.5S", "123456789S", "ä"] {
            assert_eq!(parse(malformed), None, "{malformed:?}");
        }
    }

    #[test]
    fn the_cap_holds() {
        let now = Instant::now();
        let cap = Duration::from_secs(30);
        let with = |timeout: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", http::HeaderValue::from_static(timeout));
            of(&headers, now, cap)
        };
        assert_eq!(of(&HeaderMap::new(), now, cap), now + cap);
        assert_eq!(with("1H"), now + cap);
        assert_eq!(with("nonsense"), now + cap);
        assert_eq!(with("5S"), now + Duration::from_secs(5));
    }
}
