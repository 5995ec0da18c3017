//! The idempotency payload hash: BLAKE3 over a versioned form, so that two requests have one hash exactly where they mean
//! the same.
//!
//! JSON that is I-JSON (RFC 7493) is hashed in its canonical form (RFC 8785): spacing, member order and the spelling of
//! numbers do not matter. Anything else is hashed as it is, under another version byte: other media types, duplicate
//! members, lone surrogates, and numbers that would change when a double holds them.

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::payload::{JSON_DEPTH_MAX, Payload, is_json};
use super::submission::Meaning;

/// Version bytes. A change of the form takes a new one; the old ones stay meaningful for the keys already recorded.
const CANONICAL_JSON: u8 = 1;
const RAW: u8 = 2;
const RESERVATION_CANONICAL_JSON: u8 = 3;
const RESERVATION_RAW: u8 = 4;
/// Of submissions that name another job: a parent, or the one that they do anew.
const KIN_CANONICAL_JSON: u8 = 5;
const KIN_RAW: u8 = 6;
/// Of submissions that wait for other jobs. Their dependencies come before the payload, two fields each: since the payload is
/// one field, no list runs into it.
const DEPENDENT_CANONICAL_JSON: u8 = 7;
const DEPENDENT_RAW: u8 = 8;
/// Of submissions that say what their data is, or where it may be kept.
const LABELLED_CANONICAL_JSON: u8 = 9;
const LABELLED_RAW: u8 = 10;

pub type PayloadHash = [u8; 32];

/// Why a payload that says it is JSON is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    #[error("is not JSON, as its content type says it is")]
    Malformed,
    #[error("is nested more than {JSON_DEPTH_MAX} levels deep")]
    TooDeep,
}

/// The hash of a submission: what it means, then its payload.
pub fn of_submission(meaning: &Meaning<'_>, payload: &Payload) -> Result<PayloadHash, JsonError> {
    let form = Form::of(&payload.data, &payload.content_type)?;
    let (canonical, raw) = if meaning.is_labelled() {
        (LABELLED_CANONICAL_JSON, LABELLED_RAW)
    } else if meaning.has_dependencies() {
        (DEPENDENT_CANONICAL_JSON, DEPENDENT_RAW)
    } else if meaning.has_kin() {
        (KIN_CANONICAL_JSON, KIN_RAW)
    } else {
        (CANONICAL_JSON, RAW)
    };
    let mut hasher = form.begin(canonical, raw, &payload.content_type);
    meaning.feed(|field| feed(&mut hasher, field));
    Ok(form.end(hasher, &payload.data))
}

/// The hash of a request that another service reserves a key for.
pub fn of_reservation(request: &[u8], content_type: &str) -> Result<PayloadHash, JsonError> {
    let form = Form::of(request, content_type)?;
    let hasher = form.begin(RESERVATION_CANONICAL_JSON, RESERVATION_RAW, content_type);
    Ok(form.end(hasher, request))
}

/// Refuses what says it is JSON and is not, or nests too deep.
pub fn check_json(data: &[u8], content_type: &str) -> Result<(), JsonError> {
    Form::of(data, content_type).map(|_| ())
}

enum Form {
    Canonical(String),
    Raw,
}

impl Form {
    fn of(data: &[u8], content_type: &str) -> Result<Self, JsonError> {
        if !is_json(content_type) {
            return Ok(Self::Raw);
        }
        if nesting(data) > JSON_DEPTH_MAX {
            return Err(JsonError::TooDeep);
        }
        let raw: &RawValue = serde_json::from_slice(data).map_err(|_| JsonError::Malformed)?;
        let mut canonical = String::with_capacity(data.len());
        Ok(match canonicalise(raw, &mut canonical) {
            Ok(()) => Self::Canonical(canonical),
            Err(NotIJson) => Self::Raw,
        })
    }

    fn begin(&self, canonical: u8, raw: u8, content_type: &str) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[if matches!(self, Self::Canonical(_)) { canonical } else { raw }]);
        feed(&mut hasher, content_type.as_bytes());
        hasher
    }

    fn end(&self, mut hasher: blake3::Hasher, data: &[u8]) -> PayloadHash {
        match self {
            Self::Canonical(text) => feed(&mut hasher, text.as_bytes()),
            Self::Raw => feed(&mut hasher, data),
        }
        *hasher.finalize().as_bytes()
    }
}

/// BLAKE3 over fields, for commands that carry no payload of a caller's own form.
pub fn of_fields<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> PayloadHash {
    let mut hasher = blake3::Hasher::new();
    fields.into_iter().for_each(|field| feed(&mut hasher, field));
    *hasher.finalize().as_bytes()
}

/// Length first: two fields never run into each other.
fn feed(hasher: &mut blake3::Hasher, field: &[u8]) {
    hasher.update(&(field.len() as u64).to_le_bytes());
    hasher.update(field);
}

/// The deepest nesting of brackets outside strings. Counted before parsing, so that no input can exhaust the stack.
fn nesting(data: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0usize, false, false);
    for byte in data {
        match (in_string, *byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

struct NotIJson;

impl From<serde_json::Error> for NotIJson {
    fn from(_: serde_json::Error) -> Self {
        Self
    }
}

/// Writes a syntactically valid value in its RFC 8785 form.
fn canonicalise(raw: &RawValue, out: &mut String) -> Result<(), NotIJson> {
    let text = raw.get();
    match text.as_bytes()[0] {
        b'{' => {
            let mut members = serde_json::Deserializer::from_str(text).deserialize_map(Members)?;
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            if members.windows(2).any(|pair| pair[0].0 == pair[1].0) {
                return Err(NotIJson);
            }
            out.push('{');
            for (index, (name, value)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&serde_json::to_string(&name)?);
                out.push(':');
                canonicalise(value, out)?;
            }
            out.push('}');
        }
        b'[' => {
            let values: Vec<&RawValue> = serde_json::from_str(text)?;
            out.push('[');
            for (index, value) in values.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                canonicalise(value, out)?;
            }
            out.push(']');
        }
        b'"' => out.push_str(&serde_json::to_string(&serde_json::from_str::<String>(text)?)?),
        b't' | b'f' | b'n' => out.push_str(text),
        _ => out.push_str(&number(text)?),
    }
    Ok(())
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

/// The number as ECMAScript writes it, if a double holds it: 1.0, 1e0 and 1 are one number, 9007199254740993 is none,
/// since it would look like its neighbour.
fn number(text: &str) -> Result<String, NotIJson> {
    let value: f64 = text.parse().map_err(|_| NotIJson)?;
    if !value.is_finite() {
        return Err(NotIJson);
    }
    let shortest = ryu_js::Buffer::new().format_finite(value).to_owned();
    if Decimal::of(text)? == Decimal::of(&shortest)? { Ok(shortest) } else { Err(NotIJson) }
}

/// A decimal number without the ways of writing it: 0.digits times ten to the exponent, no zeros at either end.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn of(text: &str) -> Result<Self, NotIJson> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let exponent: i64 = exponent.parse().map_err(|_| NotIJson)?;
        let all = format!("{whole}{fraction}");
        let digits = all.trim_start_matches('0');
        let exponent = exponent.checked_add(whole.len() as i64 - (all.len() - digits.len()) as i64).ok_or(NotIJson)?;
        let digits = digits.trim_end_matches('0');
        if digits.is_empty() {
            // Zero has no sign here: RFC 8785 writes -0 as 0.
            return Ok(Self { negative: false, digits: String::new(), exponent: 0 });
        }
        Ok(Self { negative, digits: digits.to_owned(), exponent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(json: &str) -> PayloadHash {
        of_reservation(json.as_bytes(), "application/json").unwrap()
    }

    #[test]
    fn spelling_does_not_matter_for_i_json() {
        assert_eq!(hash(r#"{"b":1.0,"a":"\u0041"}"#), hash(" { \"a\" : \"A\", \"b\" : 1e0 } "));
        assert_eq!(hash("[0.1, -0, 100]"), hash("[0.10,0,1e2]"));
        assert_eq!(hash("1E400000000000000000000"), hash("1E400000000000000000000"));
    }

    #[test]
    fn values_that_differ_never_look_alike() {
        let values = [
            "9007199254740992",
            "9007199254740993",
            "0.1",
            "0.1000000000000000055",
            r#"{"a":1,"a":2}"#,
            r#"{"a":2,"a":1}"#,
            r#"{"a":2}"#,
            r#""\ud800""#,
            r#""\ud801""#,
            "null",
            "[]",
            "{}",
            "1e400",
            "1e401",
        ];
        let hashes: std::collections::HashSet<_> = values.iter().map(|value| hash(value)).collect();
        assert_eq!(hashes.len(), values.len());
    }

    /// Recorded keys stand for these: worked out once, by another implementation. A form that changes takes a new version byte.
    #[test]
    fn no_form_ever_changes() {
        use holdfast_ids::{Intent, JobId};

        use crate::domain::dependency::{Dependency, OnFailure};
        use crate::domain::job::{Queue, Tier};
        use crate::domain::labels::{AskedLabels, Classification, Residency};

        let intent = Intent::parse("repo.digest").unwrap();
        let other = JobId::parse("01900000-0000-7000-8000-000000000001").unwrap();
        let plain = Meaning {
            intent: &intent,
            queue: Queue::Project,
            tier: Tier::A,
            priority: 3,
            run_after: None,
            run_budget_ms: Some(60_000),
            max_attempts: Some(2),
            resubmits: None,
            parent_job_id: None,
            labels: AskedLabels::default(),
            dependencies: &[],
        };
        let after = [Dependency { job_id: other, on_failure: OnFailure::Cancel }];
        let dependent = Meaning { dependencies: &after, ..plain };
        let (child, anew) =
            (Meaning { parent_job_id: Some(other), ..plain }, Meaning { resubmits: Some(other), ..plain });
        let labelled = |classification, residency| AskedLabels { classification, residency };
        let sensitive = Meaning { labels: labelled(Some(Classification::Sensitive), None), ..plain };
        let sensitive_dependent = Meaning { dependencies: &after, ..sensitive };
        let european = Meaning { labels: labelled(None, Some(Residency::Eu)), ..plain };
        let both = Meaning { labels: labelled(Some(Classification::Public), Some(Residency::Global)), ..child };
        let (json, text) = ((r#"{"b":"x", "a":1.0}"#, "application/json"), ("plain", "text/plain"));
        let hex = |hash: PayloadHash| blake3::Hash::from_bytes(hash).to_hex().to_string();
        for (meaning, (data, content_type), expected) in [
            (plain, json, "3bab81a156d006440cf662d001d7e24556dc341bad5575fd9e9b1ad7157299a2"),
            (plain, text, "c962c354bce0bc558bb1a075823177029d604473258de42963799006aeacaede"),
            (child, json, "816b585cec853a9bd381b4fa89ba942305a6e2e12ee63296a3f277a0258b9041"),
            (anew, text, "99236d3350d28de224acce8f71c9c085cc0248cf62dbe8b588a5bd4254ba1744"),
            (sensitive, json, "a5066388df73e110e31d0ac1ad65593079c83ee382a10d3fd2833baf76d59bd8"),
            (european, text, "700fa40784caea6f3464e06cf47e22179872e670869e7b8f1ef4e1a7295fa8c3"),
            (dependent, json, "af56db1d9a42a76962a955186d986cb31a845bf6074683f578ab0318e5403cdd"),
            (dependent, text, "08b99ed8186544ef24973bd1f08e24d4744b9c3eb4c63e094b88aa83eb44fc8d"),
            (sensitive_dependent, json, "cfaeb0b6e207afc1c305542b0ba24ebe4f104abffa9636965cc5d1f58417072c"),
            (both, json, "1a41011780de7a5e49b72c8d6cfd669ea0c33d4df4190bc0123a47478a8f20ea"),
        ] {
            let payload = Payload { data: data.into(), content_type: content_type.to_owned() };
            assert_eq!(hex(of_submission(&meaning, &payload).unwrap()), expected, "{meaning:?}");
        }
        for ((data, content_type), expected) in [
            (json, "d86645013b3eb26dce51d95ddf595b35d3ac252f5253a136e30c909231b1c00b"),
            (text, "a6ef83718ee6df77285c698c323be4d9b2b359bd562e584cccefba4ff4099583"),
        ] {
            assert_eq!(hex(of_reservation(data.as_bytes(), content_type).unwrap()), expected);
        }
    }

    #[test]
    fn members_sort_by_utf16_code_units() {
        let mut out = String::new();
        let raw: &RawValue = serde_json::from_str("{\"\u{fb33}\":1,\"\u{1f600}\":2,\"\\u20ac\":3}").unwrap();
        assert!(canonicalise(raw, &mut out).is_ok());
        assert_eq!(out, "{\"\u{20ac}\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}");
    }

    #[test]
    fn refuses_what_is_not_json_or_too_deep() {
        assert_eq!(of_reservation(b"{", "application/json"), Err(JsonError::Malformed));
        assert_eq!(of_reservation(b"", "application/json"), Err(JsonError::Malformed));
        let deep = format!("{}{}", "[".repeat(11), "]".repeat(11));
        assert_eq!(of_reservation(deep.as_bytes(), "application/vnd.x+json; v=1"), Err(JsonError::TooDeep));
        let flat = format!("{}{}", "[".repeat(10), "]".repeat(10));
        assert!(of_reservation(flat.as_bytes(), "application/json").is_ok());
        assert!(of_reservation(br#""[[[[[[[[[[[[""#, "application/json").is_ok());
        assert!(of_reservation(b"{", "text/plain").is_ok());
    }
}
