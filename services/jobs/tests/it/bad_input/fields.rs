//! What the contract says of every field that a client can send: what its values may be, and what its absence means.

use std::collections::BTreeMap;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::support::raw::{PACKAGE, methods};

use Absent::{Means, Missing, OutOfRange};

/// What the values of a field may be; for a repeated field, those of its elements.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// At most so many characters of an alphabet; the others are examples of what is outside of it.
    Name {
        chars_max: usize,
        outside: &'static [&'static str],
    },
    /// A UUIDv7.
    JobId,
    /// Any UUID.
    Uuid,
    /// Of this listing, or none.
    PageToken,
    /// Free text.
    Text {
        chars_max: usize,
    },
    MediaType,
    /// JSON, as the samples' content types say it is.
    Json {
        bytes_max: usize,
    },
    Enum,
    Int {
        min: i32,
        max: i32,
    },
    /// 64 bits of it.
    Long {
        min: i64,
        max: i64,
    },
    /// A positive number that PostgreSQL's bigint holds.
    Token,
    Duration {
        min_s: i64,
        max_s: i64,
    },
    /// Up to so far ahead of now.
    Time {
        ahead_max_s: i64,
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
    /// REQ_400_INVALID_SCHEMA: the zero is a value like any other, and not an allowed one.
    OutOfRange,
    /// It is allowed, and this is what it means.
    Means(&'static str),
}

const LOWER: &[&str] =
    &["A", "Upper", "a b", "a,b", "a/b", "a:b", "é", "a\u{0}", "a\n", "\u{7f}", "-a", ".a", "_a", "*"];
const PROJECT: Rule = Rule::Name { chars_max: 64, outside: LOWER };
const TENANT: Rule = PROJECT;
const INTENT: Rule = Rule::Name { chars_max: 128, outside: LOWER };
/// "*" means any.
const INTENT_OR_ANY: Rule = Rule::Name { chars_max: 128, outside: LOWER.split_last().expect("not empty").1 };
const WORKER: Rule =
    Rule::Name { chars_max: 128, outside: &["a b", "a,b", "a*", "é", "a\u{0}", "a\n", "\u{7f}", "-a", ":a", "/a"] };
const NOT_A_MODEL: &[&str] = &["a b", "a,b", "a*", "é", "a\u{0}", "a\n", "\u{7f}", "-a", ":a", "/a"];
const TOKENS: Rule = Rule::Long { min: 0, max: 1_000_000_000 };
const KEY: Rule =
    Rule::Name { chars_max: 256, outside: &["a b", " ", "é", "a\u{0}", "a\t", "a\r\n", "\u{7f}", "\u{2028}"] };
const CODE: Rule = Rule::Name { chars_max: 64, outside: &["Disk", "disk full", "disk-full", "é", "a\u{0}", "a\n"] };
const PAYLOAD: Rule = Rule::Json { bytes_max: 960 * 1024 };
const PAGE_SIZE: Rule = Rule::Int { min: 0, max: 1000 };
const JOBS: Rule = Rule::Int { min: 0, max: 1_000_000 };
const DAY_S: i64 = 24 * 3600;

const THE_TOKENS: Absent = Means("the only tenant of the caller's token");
const JSON: Absent = Means("application/json");
const AS_FOR_ALL: Absent = Means("what configuration has");
const NO_LEASES: Absent = Means("none is held");

/// Every field of every message that a client sends. One that is missing here fails the test, as does one that is no more.
const FIELDS: &[(&str, Rule, Absent)] = &[
    ("SubmitJobRequest.tenant_id", TENANT, THE_TOKENS),
    ("SubmitJobRequest.project_id", PROJECT, Missing),
    ("SubmitJobRequest.intent", INTENT, Missing),
    ("SubmitJobRequest.queue", Rule::Enum, Missing),
    ("SubmitJobRequest.tier", Rule::Enum, Missing),
    ("SubmitJobRequest.priority", Rule::Int { min: 0, max: 9 }, Means("the lowest priority, which is the default")),
    ("SubmitJobRequest.run_after", Rule::Time { ahead_max_s: 7 * 24 * 3600 }, Means("at once")),
    ("SubmitJobRequest.constraints", Rule::Message, Means("those of the intent")),
    ("SubmitJobRequest.idempotency_key", KEY, Missing),
    ("SubmitJobRequest.payload", Rule::Message, Missing),
    ("SubmitJobRequest.parent_job_id", Rule::JobId, Means("on nobody else's behalf")),
    ("SubmitJobRequest.dependencies", Rule::Message, Means("it waits for no other job")),
    ("Dependency.job_id", Rule::JobId, Missing),
    ("Dependency.batch_item", Rule::Int { min: 0, max: 999 }, Missing),
    ("Dependency.on_failure", Rule::Enum, Means("it stays blocked")),
    ("SubmitJobRequest.classification", Rule::Enum, Means("the parent's, or the deployment's default")),
    ("SubmitJobRequest.residency", Rule::Enum, Means("the parent's, the tenant's, or the deployment's region")),
    ("Constraints.run_budget", Rule::Duration { min_s: 1, max_s: 20 * 60 }, Means("that of the intent and tier")),
    ("Constraints.max_attempts", Rule::Int { min: 0, max: 5 }, Means("those of the intent")),
    ("Payload.data", PAYLOAD, OutOfRange),
    ("Payload.content_type", Rule::MediaType, JSON),
    ("BatchSubmitJobsRequest.jobs", Rule::Message, Missing),
    ("GetJobRequest.job_id", Rule::JobId, Missing),
    ("ListJobsRequest.tenant_id", TENANT, THE_TOKENS),
    ("ListJobsRequest.project_id", PROJECT, Missing),
    ("ListJobsRequest.states", Rule::Enum, Means("jobs in any state")),
    ("ListJobsRequest.intent", INTENT, Means("jobs of any intent")),
    ("ListJobsRequest.page_size", PAGE_SIZE, Means("50")),
    ("ListJobsRequest.page_token", Rule::PageToken, Means("the first page")),
    ("CancelJobRequest.job_id", Rule::JobId, Missing),
    ("CancelJobRequest.reason", Rule::Text { chars_max: 512 }, Means("nobody has to say why")),
    ("CancelJobRequest.idempotency_key", KEY, Missing),
    ("DecideJobRequest.job_id", Rule::JobId, Missing),
    ("DecideJobRequest.decision", Rule::Enum, Missing),
    ("DecideJobRequest.reason", Rule::Text { chars_max: 1024 }, Means("an approval needs none")),
    ("DecideJobRequest.corrects", Rule::Uuid, Means("it corrects no other")),
    ("DecideJobRequest.idempotency_key", KEY, Missing),
    ("ListApprovalsRequest.job_id", Rule::JobId, Missing),
    ("ResubmitJobRequest.job_id", Rule::JobId, Missing),
    ("ResubmitJobRequest.idempotency_key", KEY, Missing),
    ("ListJobEventsRequest.job_id", Rule::JobId, Missing),
    ("ListJobEventsRequest.page_size", PAGE_SIZE, Means("100")),
    ("ListJobEventsRequest.page_token", Rule::PageToken, Means("the first page")),
    ("WatchJobsRequest.job_id", Rule::JobId, Missing),
    ("WatchJobsRequest.project", Rule::Message, Missing),
    ("WatchJobsRequest.resume_token", Rule::PageToken, Means("from now on")),
    ("WatchJobsRequest.from_start", Rule::Flag, Means("from now on")),
    ("WatchJobsRequest.states", Rule::Enum, Means("transitions into any state")),
    ("WatchJobsRequest.intent", INTENT, Means("jobs of any intent")),
    ("WatchJobsRequest.catch_up_only", Rule::Flag, Means("to wait for more")),
    ("WatchedProject.tenant_id", TENANT, THE_TOKENS),
    ("WatchedProject.project_id", PROJECT, Missing),
    ("GetProjectRequest.tenant_id", TENANT, THE_TOKENS),
    ("GetProjectRequest.project_id", PROJECT, Missing),
    ("UpdateProjectRequest.tenant_id", TENANT, THE_TOKENS),
    ("UpdateProjectRequest.project_id", PROJECT, Missing),
    ("UpdateProjectRequest.expected_version", Rule::Token, Means("the project has no settings yet")),
    ("UpdateProjectRequest.settings", Rule::Message, Missing),
    ("ProjectSettings.running_max", JOBS, AS_FOR_ALL),
    ("ProjectSettings.weight", Rule::Int { min: 0, max: 10_000 }, AS_FOR_ALL),
    ("ProjectSettings.queue_soft", JOBS, AS_FOR_ALL),
    ("ProjectSettings.queue_hard", JOBS, AS_FOR_ALL),
    ("ProjectSettings.tokens_per_day_max", Rule::Token, AS_FOR_ALL),
    ("ProjectSettings.cost_micros_per_day_max", Rule::Token, AS_FOR_ALL),
    ("ProjectSettings.intents", Rule::Message, AS_FOR_ALL),
    ("IntentPolicy.intent", INTENT, Missing),
    ("IntentPolicy.tier_floor", Rule::Enum, Means("none")),
    ("IntentPolicy.run_budget", Rule::Duration { min_s: 1, max_s: 7 * DAY_S }, AS_FOR_ALL),
    ("IntentPolicy.human_budget", Rule::Duration { min_s: 1, max_s: 30 * DAY_S }, AS_FOR_ALL),
    ("IntentPolicy.max_attempts", Rule::Int { min: 0, max: 1000 }, AS_FOR_ALL),
    ("IntentPolicy.retry_initial", Rule::Duration { min_s: 0, max_s: DAY_S }, AS_FOR_ALL),
    ("IntentPolicy.retry_cap", Rule::Duration { min_s: 0, max_s: DAY_S }, AS_FOR_ALL),
    ("IntentPolicy.retry_window", Rule::Duration { min_s: 0, max_s: 30 * DAY_S }, AS_FOR_ALL),
    ("IntentPolicy.key_window", Rule::Duration { min_s: 0, max_s: 366 * DAY_S }, AS_FOR_ALL),
    ("IntentPolicy.queue_budget", Rule::Duration { min_s: 1, max_s: 7 * DAY_S }, AS_FOR_ALL),
    ("IntentPolicy.on_queue_timeout", Rule::Enum, Means("an event")),
    ("IntentPolicy.delegations", Rule::Message, Means("any intent")),
    ("Delegations.intents", INTENT, Means("none")),
    ("ListProjectsRequest.tenant_id", TENANT, THE_TOKENS),
    ("ListProjectsRequest.page_size", PAGE_SIZE, Means("50")),
    ("ListProjectsRequest.page_token", Rule::PageToken, Means("the first page")),
    ("WorkRequest.hello", Rule::Message, Missing),
    ("WorkRequest.heartbeat", Rule::Message, Missing),
    ("WorkRequest.complete", Rule::Message, Missing),
    ("WorkRequest.fail", Rule::Message, Missing),
    ("WorkRequest.drain", Rule::Message, Missing),
    ("WorkRequest.Hello.worker_id", WORKER, Missing),
    ("WorkRequest.Hello.intents", INTENT_OR_ANY, Missing),
    ("WorkRequest.Hello.queues", Rule::Enum, Missing),
    ("WorkRequest.Hello.capacity", Rule::Int { min: 1, max: 1000 }, OutOfRange),
    ("WorkRequest.Hello.held", Rule::Message, NO_LEASES),
    ("WorkRequest.Heartbeat.leases", Rule::Message, NO_LEASES),
    ("WorkRequest.Drain.release", Rule::Message, Means("what is held will be finished")),
    ("LeaseRef.job_id", Rule::JobId, Missing),
    ("LeaseRef.lease_id", Rule::Uuid, Missing),
    ("LeaseRef.fencing_token", Rule::Token, Missing),
    ("LeaseExtension.lease", Rule::Message, Missing),
    ("LeaseExtension.progress", Rule::Message, Means("nothing to report")),
    ("Progress.percent", Rule::Int { min: 0, max: 100 }, Means("the work has just begun")),
    ("Progress.note", Rule::Text { chars_max: 256 }, Means("the number says it all")),
    ("LeaseJobsRequest.worker_id", WORKER, Missing),
    ("LeaseJobsRequest.intents", INTENT_OR_ANY, Missing),
    ("LeaseJobsRequest.queues", Rule::Enum, Missing),
    ("LeaseJobsRequest.max_jobs", Rule::Int { min: 1, max: 1000 }, OutOfRange),
    ("LeaseJobsRequest.wait", Rule::Duration { min_s: 0, max_s: 30 }, Means("not to wait")),
    ("ExtendLeasesRequest.leases", Rule::Message, Missing),
    ("CompleteJobRequest.lease", Rule::Message, Missing),
    ("CompleteJobRequest.result", Rule::Message, Missing),
    ("FailJobRequest.lease", Rule::Message, Missing),
    ("FailJobRequest.retryable", Rule::Flag, Means("no further attempt would succeed")),
    ("FailJobRequest.code", CODE, Missing),
    ("FailJobRequest.message", Rule::Text { chars_max: 1024 }, Means("the code says it all")),
    ("RecordUsageRequest.usages", Rule::Message, Missing),
    ("Usage.job_id", Rule::JobId, Means("the job of the lease")),
    ("Usage.lease", Rule::Message, Means("somebody acts for the job who does not hold it")),
    ("Usage.idempotency_key", KEY, Missing),
    ("Usage.provider", Rule::Name { chars_max: 64, outside: NOT_A_MODEL }, Missing),
    ("Usage.model", Rule::Name { chars_max: 128, outside: NOT_A_MODEL }, Missing),
    ("Usage.input_tokens", TOKENS, Means("none")),
    ("Usage.output_tokens", TOKENS, Means("none")),
    ("Usage.cost_micro_usd", Rule::Long { min: 0, max: 10_000_000_000 }, Means("it cost nothing")),
    ("GetBudgetRequest.tenant_id", TENANT, THE_TOKENS),
    ("GetBudgetRequest.scope", Rule::Enum, Missing),
    ("GetBudgetRequest.scope_id", PROJECT, Missing),
    ("KeyScope.tenant_id", TENANT, THE_TOKENS),
    ("KeyScope.project_id", PROJECT, Missing),
    ("KeyScope.intent", INTENT, Missing),
    ("KeyScope.idempotency_key", KEY, Missing),
    ("ReserveKeyRequest.scope", Rule::Message, Missing),
    ("ReserveKeyRequest.request", PAYLOAD, Missing),
    ("ReserveKeyRequest.content_type", Rule::MediaType, JSON),
    ("ReserveKeyRequest.lease", Rule::Duration { min_s: 1, max_s: 3600 }, Means("30 s")),
    ("CompleteKeyRequest.scope", Rule::Message, Missing),
    ("CompleteKeyRequest.token", Rule::Token, Missing),
    ("CompleteKeyRequest.outcome", Rule::Json { bytes_max: 64 * 1024 }, OutOfRange),
    ("CompleteKeyRequest.content_type", Rule::MediaType, JSON),
    ("GetKeyRequest.scope", Rule::Message, Missing),
];

/// What the contract says of one field.
pub fn rule_of(field: &FieldDescriptor) -> (Rule, Absent) {
    let name = name(field);
    let known = FIELDS.iter().find(|(known, _, _)| *known == name);
    let (_, rule, absent) =
        known.unwrap_or_else(|| panic!("this test does not know {name}: say here what it may hold"));
    (*rule, *absent)
}

/// The message within the package and the field: `WorkRequest.Hello.intents`.
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
