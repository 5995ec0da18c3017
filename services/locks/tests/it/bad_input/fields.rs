//! What the contract says of every field that a client can send: what its values may be, and what its absence means.

use std::collections::BTreeMap;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::support::raw::{PACKAGE, methods};

use Absent::{Means, Missing};

/// What the values of a field may be; for a repeated field, those of its elements.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// At most so many characters of an alphabet; the others are examples of what is outside of it.
    Name {
        chars_max: usize,
        outside: &'static [&'static str],
    },
    /// Any UUID.
    Uuid,
    /// Of this listing, or none.
    PageToken,
    /// Free text.
    Text {
        chars_max: usize,
    },
    Int {
        min: i32,
        max: i32,
    },
    /// A number that PostgreSQL's integer holds.
    Count,
    /// A positive number that PostgreSQL's bigint holds.
    Token,
    Duration {
        min_s: i64,
        max_s: i64,
    },
    /// Its fields have rules of their own.
    Message,
    /// Has no bad values.
    Flag,
}

/// What a field that is not there, or holds its type's zero, comes to.
#[derive(Debug, Clone, Copy)]
pub enum Absent {
    /// REQ_400_MISSING_FIELD.
    Missing,
    /// It is allowed, and this is what it means.
    Means(&'static str),
}

const LOWER: &[&str] =
    &["A", "Upper", "a b", "a,b", "a/b", "a:b", "é", "a\u{0}", "a\n", "\u{7f}", "-a", ".a", "_a", "*"];
const PROJECT: Rule = Rule::Name { chars_max: 64, outside: LOWER };
const TENANT: Rule = PROJECT;
const CLASS: Rule = PROJECT;
const PRINTABLE: &[&str] = &["a b", " ", "é", "a\u{0}", "a\t", "a\r\n", "\u{7f}", "\u{2028}"];
const KEY: Rule = Rule::Name { chars_max: 256, outside: PRINTABLE };
const OWNER: Rule = Rule::Name { chars_max: 128, outside: PRINTABLE };

const THE_TOKENS: Absent = Means("the only tenant of the caller's token");
const UNCOUNTED: Absent = Means("the caller does not count");

/// Every field of every message that a client sends. One that is missing here fails the test, as does one that is no more.
const FIELDS: &[(&str, Rule, Absent)] = &[
    ("Resource.project_id", PROJECT, Missing),
    ("Resource.class", CLASS, Missing),
    ("Resource.key", KEY, Missing),
    ("LeaseRef.tenant_id", TENANT, THE_TOKENS),
    ("LeaseRef.lease_id", Rule::Uuid, Missing),
    ("AcquireTerms.owner", OWNER, Missing),
    ("AcquireTerms.idempotency_key", KEY, Means("a repetition is another request")),
    ("AcquireTerms.ttl", Rule::Duration { min_s: 1, max_s: 3600 }, Means("as configured")),
    ("AcquireTerms.wait", Rule::Duration { min_s: 0, max_s: 3600 }, Means("not to wait")),
    ("AcquireTerms.require_mirror", Rule::Flag, Means("as configured")),
    ("AcquireLockRequest.tenant_id", TENANT, THE_TOKENS),
    ("AcquireLockRequest.resource", Rule::Message, Missing),
    ("AcquireLockRequest.terms", Rule::Message, Missing),
    ("AcquireLocksRequest.tenant_id", TENANT, THE_TOKENS),
    ("AcquireLocksRequest.resources", Rule::Message, Missing),
    ("AcquireLocksRequest.terms", Rule::Message, Missing),
    ("RenewLockRequest.lease", Rule::Message, Missing),
    ("RenewLockRequest.renewal", Rule::Count, UNCOUNTED),
    ("ReleaseLockRequest.lease", Rule::Message, Missing),
    ("HoldLockRequest.acquire", Rule::Message, Missing),
    ("HoldLockRequest.resume", Rule::Message, Missing),
    ("HoldLockRequest.heartbeat", Rule::Message, Missing),
    ("HoldLockRequest.Acquire.tenant_id", TENANT, THE_TOKENS),
    ("HoldLockRequest.Acquire.resources", Rule::Message, Missing),
    ("HoldLockRequest.Acquire.terms", Rule::Message, Missing),
    ("HoldLockRequest.Resume.lease", Rule::Message, Missing),
    ("HoldLockRequest.Heartbeat.renewal", Rule::Count, UNCOUNTED),
    ("GetLockRequest.tenant_id", TENANT, THE_TOKENS),
    ("GetLockRequest.resource", Rule::Message, Missing),
    ("ListLocksRequest.tenant_id", TENANT, THE_TOKENS),
    ("ListLocksRequest.project_id", PROJECT, Missing),
    ("ListLocksRequest.class", CLASS, Means("any class")),
    ("ListLocksRequest.owner", OWNER, Means("any owner")),
    ("ListLocksRequest.actor_id", KEY, Means("any principal")),
    ("ListLocksRequest.page_size", Rule::Int { min: 0, max: 1000 }, Means("50")),
    ("ListLocksRequest.page_token", Rule::PageToken, Means("the first page")),
    ("WatchLockRequest.tenant_id", TENANT, THE_TOKENS),
    ("WatchLockRequest.resource", Rule::Message, Missing),
    ("CheckFenceRequest.tenant_id", TENANT, THE_TOKENS),
    ("CheckFenceRequest.resource", Rule::Message, Missing),
    ("CheckFenceRequest.fencing_token", Rule::Token, Missing),
    ("ForceReleaseLockRequest.lease", Rule::Message, Missing),
    ("ForceReleaseLockRequest.reason", Rule::Text { chars_max: 512 }, Missing),
];

/// What the contract says of one field.
pub fn rule_of(field: &FieldDescriptor) -> (Rule, Absent) {
    let name = name(field);
    let known = FIELDS.iter().find(|(known, _, _)| *known == name);
    let (_, rule, absent) =
        known.unwrap_or_else(|| panic!("this test does not know {name}: say here what it may hold"));
    (*rule, *absent)
}

/// The message within the package and the field: `HoldLockRequest.Heartbeat.renewal`.
fn name(field: &FieldDescriptor) -> String {
    let message = field.parent_message().full_name().to_owned();
    let message = message.strip_prefix(PACKAGE).map_or(message.as_str(), |name| name.trim_start_matches('.'));
    format!("{message}.{}", field.name())
}

/// The message that a field holds where its fields have rules of their own.
pub fn nested(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(message) if message.package_name() == PACKAGE => Some(message),
        _ => None,
    }
}

#[test]
fn every_field_that_a_client_sends_is_known() {
    let (mut open, mut found) = (methods().iter().map(|method| method.input()).collect::<Vec<_>>(), BTreeMap::new());
    while let Some(message) = open.pop() {
        for field in message.fields() {
            assert!(!field.is_map(), "{}: the walk has not learned of maps", field.full_name());
            let (rule, _) = rule_of(&field);
            let inner = nested(&field);
            assert_eq!(inner.is_some(), matches!(rule, Rule::Message), "{}: {rule:?}", field.full_name());
            if found.insert(name(&field), ()).is_none() {
                open.extend(inner);
            }
        }
    }
    let gone: Vec<_> = FIELDS.iter().map(|(name, _, _)| *name).filter(|name| !found.contains_key(*name)).collect();
    assert!(gone.is_empty(), "no client sends {gone:?}");
    assert_eq!(found.len(), FIELDS.len(), "a field has two entries");
}
