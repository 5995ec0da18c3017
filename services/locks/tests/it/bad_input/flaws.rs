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

/// Every flawed variant of a message in which every field is set.
pub fn flawed(message: &DynamicMessage) -> Vec<Flawed> {
    let mut all = Vec::new();
    for field in message.descriptor().fields() {
        if field.containing_oneof().is_some_and(|oneof| !oneof.is_synthetic()) && !message.has_field(&field) {
            continue;
        }
        assert!(message.has_field(&field), "the sample leaves {} out", field.full_name());
        all.push(without(message, &field));
        let value = message.get_field(&field).into_owned();
        let with = |path: &str, flaw: String, reason, value| {
            let mut message = message.clone();
            message.set_field(&field, value);
            Flawed { path: format!("{}{path}", field.name()), flaw, reason, message }
        };
        let Some(elements) = value.as_list() else {
            all.extend(
                flawed_values(&field, &value)
                    .into_iter()
                    .map(|(path, flaw, reason, value)| with(&path, flaw, reason, value)),
            );
            continue;
        };
        let many = vec![elements[0].clone(); ELEMENTS_MAX + 1];
        all.push(with("", "too many".to_owned(), Some(Reason::Req400InvalidSchema), Value::List(many)));
        for (index, element) in elements.iter().enumerate() {
            let bad = flawed_values(&field, element).into_iter().chain(empty_element(&field));
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
fn flawed_values(field: &FieldDescriptor, value: &Value) -> Vec<Bad> {
    let (rule, _) = rule_of(field);
    if let (Rule::Message, Some(message)) = (rule, value.as_message()) {
        let inner = flawed(message).into_iter();
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

fn without(message: &DynamicMessage, field: &FieldDescriptor) -> Flawed {
    let mut message = message.clone();
    message.clear_field(field);
    let path = match field.containing_oneof() {
        Some(oneof) if !oneof.is_synthetic() => oneof.name().to_owned(),
        _ => field.name().to_owned(),
    };
    let (flaw, reason) = match rule_of(field).1 {
        Absent::Missing => ("missing".to_owned(), Some(Reason::Req400MissingField)),
        Absent::Means(what) => (format!("left out, which means {what}"), None),
    };
    Flawed { path, flaw, reason, message }
}

/// Values that a rule does not allow, each with what is wrong.
fn bad_values(rule: Rule, field: &FieldDescriptor) -> Vec<(String, Value)> {
    match rule {
        Rule::Name { chars_max, outside } => texts(outside.iter().map(ToString::to_string), chars_max),
        Rule::Uuid => texts(not_uuids(), 36),
        Rule::PageToken => {
            texts(["x", "0", "é", "\u{0}", "a b", "00000000/project/x"].map(str::to_owned).into_iter(), 100)
        }
        Rule::Text { chars_max } => {
            texts(["a\u{0}b", "\u{7}", "\u{1b}[31m", "\u{85}"].map(str::to_owned).into_iter(), chars_max)
        }
        Rule::Int { min, max } => {
            [i32::MIN, min - 1, max + 1, i32::MAX].map(|number| named(number, Value::I32(number))).to_vec()
        }
        Rule::Count => [1 << 31, u32::MAX].map(|number| named(number, Value::U32(number))).to_vec(),
        Rule::Token => [1 << 63, u64::MAX].map(|number| named(number, Value::U64(number))).to_vec(),
        Rule::Duration { min_s, max_s } => {
            let below = if min_s == 0 { (0, -1) } else { (min_s - 1, NANOS - 1) };
            times(field, &[below, (max_s, 1), (-max_s, 0), (min_s, -1), (min_s, NANOS), (min_s, i32::MAX)])
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

/// Seconds and nanoseconds.
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
