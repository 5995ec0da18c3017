//! Fields of requests and answers: what is missing, malformed or out of range is named by its path.

use std::{fmt::Display, ops::RangeInclusive, time::Duration};

use chrono::{DateTime, Utc};
use holdfast_fault::Fault;
use holdfast_ids::IdError;

/// Elements of a repeated field.
pub const ELEMENTS_MAX: usize = 1000;

/// A required identifier.
pub fn id<T>(field: &str, text: &str, parse: fn(&str) -> Result<T, IdError>) -> Result<T, Fault> {
    if text.is_empty() {
        return Err(Fault::missing(field));
    }
    parse(text).map_err(|error| Fault::invalid(field, error.to_string()))
}

/// An identifier that may be left out.
pub fn optional_id<T>(field: &str, text: &str, parse: fn(&str) -> Result<T, IdError>) -> Result<Option<T>, Fault> {
    if text.is_empty() { Ok(None) } else { id(field, text, parse).map(Some) }
}

pub fn required<T>(field: &str, message: Option<T>) -> Result<T, Fault> {
    message.ok_or_else(|| Fault::missing(field))
}

/// A required enum value: known and not UNSPECIFIED.
pub fn named<P: TryFrom<i32>, T>(field: &str, number: i32, known: fn(P) -> Option<T>) -> Result<T, Fault> {
    if number == 0 {
        return Err(Fault::missing(field));
    }
    P::try_from(number).ok().and_then(known).ok_or_else(|| Fault::invalid(field, "is not a value of the enum"))
}

/// An enum value that may be left out.
pub fn optional_named<P: TryFrom<i32>, T>(
    field: &str,
    number: i32,
    known: fn(P) -> Option<T>,
) -> Result<Option<T>, Fault> {
    if number == 0 { Ok(None) } else { named(field, number, known).map(Some) }
}

/// Free text, bounded in characters, without control characters other than line breaks and tabs.
pub fn text(field: &str, text: String, chars_max: usize) -> Result<String, Fault> {
    if text.chars().count() > chars_max {
        return Err(Fault::invalid(field, format!("is longer than {chars_max} characters")));
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(Fault::invalid(field, "holds control characters"));
    }
    Ok(text)
}

pub fn in_range<T: PartialOrd + Display>(field: &str, value: T, range: RangeInclusive<T>) -> Result<T, Fault> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(Fault::invalid(field, format!("is not within {} to {}", range.start(), range.end())))
}

pub fn elements<T>(field: &str, items: Vec<T>, count_min: usize) -> Result<Vec<T>, Fault> {
    if items.len() < count_min {
        return Err(Fault::missing(field));
    }
    if items.len() > ELEMENTS_MAX {
        return Err(Fault::invalid(field, format!("has more than {ELEMENTS_MAX} elements")));
    }
    Ok(items)
}

pub fn bytes_within(field: &str, len: usize, bytes_max: usize) -> Result<(), Fault> {
    if len > bytes_max {
        return Err(Fault::invalid(field, format!("is larger than {bytes_max} bytes")));
    }
    Ok(())
}

pub fn time(field: &str, at: prost_types::Timestamp) -> Result<DateTime<Utc>, Fault> {
    u32::try_from(at.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000)
        .and_then(|nanos| DateTime::<Utc>::from_timestamp(at.seconds, nanos))
        // Four-digit years, as protobuf's Timestamp has them.
        .filter(|at| (0..=253_402_300_799).contains(&at.timestamp()))
        .ok_or_else(|| Fault::invalid(field, "is not a time between the years 1970 and 9999"))
}

pub fn timestamp(at: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.timestamp(), nanos: at.timestamp_subsec_nanos() as i32 }
}

/// A duration within a range. Nanoseconds beyond a second are refused, not carried over: protobuf has no such duration.
pub fn duration(field: &str, duration: prost_types::Duration, min: Duration, max: Duration) -> Result<Duration, Fault> {
    let nanos = u32::try_from(duration.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    u64::try_from(duration.seconds)
        .ok()
        .zip(nanos)
        .map(|(seconds, nanos)| Duration::new(seconds, nanos))
        .filter(|duration| (min..=max).contains(duration))
        .ok_or_else(|| Fault::invalid(field, format!("is not within {min:?} to {max:?}")))
}

pub fn wire_duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration { seconds: duration.as_secs() as i64, nanos: duration.subsec_nanos() as i32 }
}

/// The trace id of a W3C traceparent; empty where there is none.
pub fn trace_id(traceparent: &str) -> String {
    traceparent.split('-').nth(1).unwrap_or_default().to_owned()
}
