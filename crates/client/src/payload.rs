//! Payloads and results, and times of the contract as chrono has them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::flaw;
use crate::{
    Error,
    pb::{self, JobState, Payload},
};

pub(crate) const JSON: &str = "application/json";
/// What a payload, and a result, may hold.
pub const PAYLOAD_BYTES_MAX: usize = 960 * 1024;
const MEDIA_TYPE_CHARS_MAX: usize = 128;

/// A value as JSON.
pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Payload, serde_json::Error> {
    Ok(Payload { data: serde_json::to_vec(value)?.into(), content_type: JSON.to_owned() })
}

/// Bytes of a media type.
pub fn bytes(data: impl Into<Vec<u8>>, content_type: impl Into<String>) -> Payload {
    Payload { data: data.into().into(), content_type: content_type.into() }
}

/// What one asks of a job beside its fields.
pub trait JobExt {
    /// Nothing will change any more.
    fn is_final(&self) -> bool;

    /// The result of a job that is done; an error for any other, or where it is not the JSON that was expected.
    fn result_json<T: DeserializeOwned>(&self) -> Result<T, Error>;
}

impl JobExt for pb::Job {
    fn is_final(&self) -> bool {
        matches!(
            self.state(),
            JobState::Done
                | JobState::Failed
                | JobState::TimedOut
                | JobState::Cancelled
                | JobState::Rejected
                | JobState::BudgetExceeded
        )
    }

    fn result_json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        match &self.result {
            Some(result) => serde_json::from_slice(&result.data)
                .map_err(|error| Error::no_result(format!("the result of job {} {}", self.job_id, flaw(&error)))),
            None => Err(Error::no_result(format!(
                "job {} has no result: it is {}",
                self.job_id,
                self.state().as_str_name().trim_start_matches("JOB_STATE_").to_lowercase()
            ))),
        }
    }
}

/// A time of the contract; None where it is absent, or beyond what chrono has.
pub fn time(at: Option<&prost_types::Timestamp>) -> Option<DateTime<Utc>> {
    let at = at?;
    DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?)
}

pub(crate) fn timestamp(at: DateTime<Utc>) -> prost_types::Timestamp {
    // Of a leap second chrono counts more than protobuf knows.
    let nanos = at.timestamp_subsec_nanos().min(999_999_999);
    prost_types::Timestamp { seconds: at.timestamp(), nanos: nanos.cast_signed() }
}

/// The longest that protobuf can say where it is longer: the service refuses both.
pub(crate) fn wire_duration(duration: Duration) -> prost_types::Duration {
    duration.try_into().unwrap_or(prost_types::Duration { seconds: i64::MAX, nanos: 0 })
}

/// None where it is absent, or negative.
pub(crate) fn duration(wire: Option<prost_types::Duration>) -> Option<Duration> {
    wire.and_then(|wire| wire.try_into().ok())
}

/// Whether the service will take this as a result: a malformed one would end the session that it is sent on. Narrower
/// than RFC 9110 where it allows what nobody writes.
pub(crate) fn check_result(result: &Payload) -> Result<(), (&'static str, String)> {
    if result.data.len() > PAYLOAD_BYTES_MAX {
        let message = format!("the result has {} bytes, {PAYLOAD_BYTES_MAX} are allowed", result.data.len());
        return Err(("result_too_large", message));
    }
    let content_type = &result.content_type;
    if content_type.is_empty() || content_type.len() <= MEDIA_TYPE_CHARS_MAX && is_media_type(content_type) {
        return Ok(());
    }
    Err(("result_refused", "the result's content type is no media type".to_owned()))
}

fn is_media_type(text: &str) -> bool {
    let is_token = |text: &str| {
        let of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !text.is_empty() && text.bytes().all(of_token)
    };
    let is_quoted = |text: &str| {
        let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        inner.is_some_and(|inner| inner.bytes().all(|byte| matches!(byte, b' '..=b'~') && !b"\"\\".contains(&byte)))
    };
    let mut parts = text.split(';');
    let is_essence = |part: &str| part.split_once('/').is_some_and(|(main, sub)| is_token(main) && is_token(sub));
    let is_parameter = |part: &str| {
        part.trim_matches([' ', '\t'])
            .split_once('=')
            .is_some_and(|(name, value)| is_token(name) && (is_token(value) || is_quoted(value)))
    };
    parts.next().is_some_and(|part| is_essence(part.trim_end_matches([' ', '\t']))) && parts.all(is_parameter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn a_result_that_would_end_the_session_is_found_first() {
        let code = |result| check_result(&result).err().map(|(code, _)| code);
        for good in ["", "application/json", "text/plain; charset=utf-8", "a/b;c=\"d e\""] {
            assert_eq!(code(bytes("x", good)), None, "{good}");
        }
        for bad in ["json", "/", "text/", "text/plain; charset", "té/xt", "a b/c", "a/b;c=\"\u{1}\"", &"a/".repeat(99)]
        {
            assert_eq!(code(bytes("x", bad)), Some("result_refused"), "{bad}");
        }
        assert_eq!(code(bytes(vec![0; PAYLOAD_BYTES_MAX], "a/b")), None);
        assert_eq!(code(bytes(vec![0; PAYLOAD_BYTES_MAX + 1], "a/b")), Some("result_too_large"));
    }

    #[test]
    fn a_result_is_decoded_where_there_is_one() {
        let job = pb::Job { result: Some(json(&[1, 2]).unwrap()), ..Default::default() };
        assert_eq!(job.result_json::<Vec<u8>>().unwrap(), [1, 2]);
        let error = job.result_json::<String>().unwrap_err();
        assert!(error.kind == ErrorKind::NoResult && !error.message.contains("[1"), "{error}");
        let failed = pb::Job { job_id: "j".into(), state: JobState::Failed.into(), ..Default::default() };
        let error = failed.result_json::<()>().unwrap_err();
        assert!(failed.is_final() && error.kind == ErrorKind::NoResult && error.message.ends_with("it is failed"));
        assert!(!pb::Job { state: JobState::Retrying.into(), ..Default::default() }.is_final());
    }

    #[test]
    fn who_prints_a_job_does_not_print_what_it_is_about() {
        let job = pb::Job { payload: Some(json(&"secret").unwrap()), ..Default::default() };
        let printed = format!("{job:?}");
        assert!(printed.contains("bytes: 8") && !printed.contains("secret") && !printed.contains("115"), "{printed}");
    }

    #[test]
    fn times_go_both_ways() {
        let now = Utc::now();
        assert_eq!(time(Some(&timestamp(now))), Some(now));
        assert_eq!(time(None), None);
        assert_eq!(wire_duration(Duration::from_millis(1_500)).nanos, 500_000_000);
        assert_eq!(wire_duration(Duration::MAX).seconds, i64::MAX);
    }
}
