//! A valid message, and everything that can be wrong with it: one flaw at a time, with the path of the field that has it.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage as _, Value};

use super::fields::{Absent, Rule, nested, rule_of};
use crate::support::Reason;

/// Elements of any repeated field.
const ELEMENTS_MAX: usize = 1000;
const NANOS: i32 = 1_000_000_000;

#[derive(Debug, Clone)]
pub struct Flawed {
    pub path: String,
    pub flaw: String,
    /// None: this is no flaw, but a field left out that may be.
    pub reason: Option<Reason>,
    pub message: DynamicMessage,
}

/// Every flawed variant of a message in which every field is set. `unset` is what a session is told to be missing.
pub fn flawed(message: &DynamicMessage, unset: &str) -> Vec<Flawed> {
    let mut all = Vec::new();
    for field in message.descriptor().fields() {
        if field.containing_oneof().is_some() && !message.has_field(&field) {
            continue;
        }
        assert!(message.has_field(&field), "the sample leaves {} out", field.full_name());
        all.push(without(message, &field, unset));
        let value = message.get_field(&field).into_owned();
        let with = |path: &str, flaw: String, reason, value| {
            let mut message = message.clone();
            message.set_field(&field, value);
            Flawed { path: format!("{}{path}", field.name()), flaw, reason, message }
        };
        let Some(elements) = value.as_list() else {
            all.extend(
                flawed_values(&field, &value, unset)
                    .into_iter()
                    .map(|(path, flaw, reason, value)| with(&path, flaw, reason, value)),
            );
            continue;
        };
        let many = vec![elements[0].clone(); ELEMENTS_MAX + 1];
        all.push(with("", "too many".to_owned(), Some(Reason::Req400InvalidSchema), Value::List(many)));
        for (index, element) in elements.iter().enumerate() {
            let bad = flawed_values(&field, element, unset).into_iter().chain(empty_element(&field));
            all.extend(bad.map(|(path, flaw, reason, bad)| {
                let mut elements = elements.to_vec();
                elements[index] = bad;
                with(&format!("[{index}]{path}"), flaw, reason, Value::List(elements))
            }));
        }
    }
    all
}

type Bad = (String, String, Option<Reason>, Value);

/// What is wrong with a value: itself, or something within it.
fn flawed_values(field: &FieldDescriptor, value: &Value, unset: &str) -> Vec<Bad> {
    let (rule, _) = rule_of(field);
    if let (Rule::Message, Some(message)) = (rule, value.as_message()) {
        let inner = flawed(message, unset).into_iter();
        return inner
            .map(|bad| (format!(".{}", bad.path), bad.flaw, bad.reason, Value::Message(bad.message)))
            .collect();
    }
    let bad = bad_values(rule, field).into_iter();
    bad.map(|(flaw, value)| (String::new(), flaw, Some(Reason::Req400InvalidSchema), value)).collect()
}

/// An element says something: it is not there, or it is empty and so missing.
fn empty_element(field: &FieldDescriptor) -> Option<Bad> {
    if nested(field).is_some() {
        return None;
    }
    let zero = Value::default_value(&field.kind());
    Some((String::new(), "empty".to_owned(), Some(Reason::Req400MissingField), zero))
}

fn without(message: &DynamicMessage, field: &FieldDescriptor, unset: &str) -> Flawed {
    let mut message = message.clone();
    message.clear_field(field);
    let path = match field.containing_oneof() {
        // A session says what it waits for.
        Some(_) if field.parent_message().name() == "WorkRequest" => unset.to_owned(),
        Some(oneof) => oneof.name().to_owned(),
        None => field.name().to_owned(),
    };
    let (flaw, reason) = match rule_of(field).1 {
        Absent::Missing => ("missing".to_owned(), Some(Reason::Req400MissingField)),
        Absent::OutOfRange => ("zero".to_owned(), Some(Reason::Req400InvalidSchema)),
        Absent::Means(what) => (format!("left out, which means {what}"), None),
    };
    Flawed { path, flaw, reason, message }
}

/// Values that a rule does not allow, each with what is wrong.
fn bad_values(rule: Rule, field: &FieldDescriptor) -> Vec<(String, Value)> {
    match rule {
        Rule::Name { chars_max, outside } => texts(outside.iter().map(ToString::to_string), chars_max),
        Rule::JobId => {
            let other_versions = [uuid::Uuid::nil(), uuid::Uuid::max(), uuid::Uuid::new_v4()];
            texts(not_uuids().chain(other_versions.map(|uuid| uuid.to_string())), 36)
        }
        Rule::Uuid => texts(not_uuids(), 36),
        Rule::PageToken => texts(["x", "0", "é", "\u{0}", "a b", "00000000.1"].map(str::to_owned).into_iter(), 100),
        Rule::Text { chars_max } => {
            texts(["a\u{0}b", "\u{7}", "\u{1b}[31m", "\u{85}"].map(str::to_owned).into_iter(), chars_max)
        }
        Rule::MediaType => {
            let bad = ["json", "/json", "text/", "a b/c", "a/b ", "a/b\n", "a/b\u{0}", "a/é", "a/b; c", "a/b; c=\u{1}"];
            let long = format!("text/{}", "x".repeat(124));
            texts(bad.map(str::to_owned).into_iter().chain([long]), 10_000)
        }
        Rule::Json { bytes_max } => json(bytes_max),
        Rule::Enum => [-1, 99, i32::MIN, i32::MAX].map(|number| named(number, Value::EnumNumber(number))).to_vec(),
        Rule::Int { min, max } => {
            [i32::MIN, min - 1, max + 1, i32::MAX].map(|number| named(number, Value::I32(number))).to_vec()
        }
        Rule::Long { min, max } => {
            [i64::MIN, min - 1, max + 1, i64::MAX].map(|number| named(number, Value::I64(number))).to_vec()
        }
        Rule::Token => [1 << 63, u64::MAX].map(|number| named(number, Value::U64(number))).to_vec(),
        Rule::Duration { min_s, max_s } => {
            let below = if min_s == 0 { (0, -1) } else { (min_s - 1, NANOS - 1) };
            times(field, &[below, (max_s, 1), (-max_s, 0), (min_s, -1), (min_s, NANOS), (min_s, i32::MAX)])
        }
        Rule::Time { ahead_max_s } => {
            let now = chrono::Utc::now().timestamp();
            let year_10000 = 253_402_300_800;
            times(field, &[(now + ahead_max_s + 60, 0), (-1, 0), (year_10000, 0), (now, -1), (now, NANOS)])
        }
        Rule::Message | Rule::Flag => Vec::new(),
    }
}

fn named(flaw: impl std::fmt::Display, value: Value) -> (String, Value) {
    (flaw.to_string(), value)
}

/// Bad texts, and one that is too long.
fn texts(bad: impl Iterator<Item = String>, chars_max: usize) -> Vec<(String, Value)> {
    let bad = bad.map(|text| (format!("{text:?}"), Value::String(text)));
    bad.chain([named("too long", Value::String("a".repeat(chars_max + 1)))]).collect()
}

fn not_uuids() -> impl Iterator<Item = String> {
    let almost = uuid::Uuid::now_v7().to_string();
    let texts = ["x".to_owned(), "*".to_owned(), "\u{0}".to_owned(), "é".to_owned()];
    texts.into_iter().chain([almost[1..].to_owned(), format!("{almost} "), almost.replace('-', "_")])
}

fn json(bytes_max: usize) -> Vec<(String, Value)> {
    let deep = [vec![b'['; 11], vec![b']'; 11]].concat();
    let large = [vec![b'"'], vec![b'a'; bytes_max - 1], vec![b'"']].concat();
    let bad: [&[u8]; 8] = [b"{", b"{} {}", b"{'a': 1}", b"NaN", b"\0", b"\xff", b"\"\xff\"", b"\"\n\""];
    let bad = bad.iter().map(|data| (format!("{:?}", String::from_utf8_lossy(data)), data.to_vec()));
    let bad = bad.chain([("too deep".to_owned(), deep), ("too large".to_owned(), large)]);
    bad.map(|(flaw, data)| (flaw, Value::Bytes(data.into()))).collect()
}

/// Seconds and nanoseconds, as a Duration or a Timestamp. The farthest ones are wrong for either.
fn times(field: &FieldDescriptor, bad: &[(i64, i32)]) -> Vec<(String, Value)> {
    let Kind::Message(kind) = field.kind() else { panic!("{} is not a message", field.full_name()) };
    let farthest = [(i64::MIN, 0), (i64::MAX, 0), (i64::MAX, i32::MAX), (0, i32::MIN)];
    let bad = bad.iter().chain(&farthest);
    bad.map(|(seconds, nanos)| {
        let mut time = DynamicMessage::new(kind.clone());
        time.set_field_by_name("seconds", Value::I64(*seconds));
        time.set_field_by_name("nanos", Value::I32(*nanos));
        named(format!("{seconds} s and {nanos} ns"), Value::Message(time))
    })
    .collect()
}
