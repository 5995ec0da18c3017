// @generated from proto/ by `make proto`. Do not edit.
/// The CloudEvents attributes, plus what every Holdfast event carries. Payloads, results and secrets are never in it.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Envelope {
    /// CloudEvents id: a UUIDv7, the same on every delivery. Consumers deduplicate by it.
    #[prost(string, tag = "1")]
    pub event_id: ::prost::alloc::string::String,
    /// CloudEvents source: the service that owns the fact, "holdfast.jobs".
    #[prost(string, tag = "2")]
    pub source: ::prost::alloc::string::String,
    /// CloudEvents specversion, "1.0".
    #[prost(string, tag = "3")]
    pub spec_version: ::prost::alloc::string::String,
    /// CloudEvents type: the event name, "job.done".
    #[prost(string, tag = "4")]
    pub event_name: ::prost::alloc::string::String,
    /// CloudEvents time: when the change was committed to, by the database's clock.
    #[prost(message, optional, tag = "5")]
    pub occurred_at: ::core::option::Option<::prost_types::Timestamp>,
    /// Version of the typed data.
    #[prost(uint32, tag = "6")]
    pub schema_version: u32,
    /// Names, as in holdfast.jobs.v1.SubmitJobRequest. project_id is empty for events that concern no project.
    #[prost(string, tag = "10")]
    pub tenant_id: ::prost::alloc::string::String,
    #[prost(string, tag = "11")]
    pub project_id: ::prost::alloc::string::String,
    /// Empty for events that concern no job.
    #[prost(string, tag = "12")]
    pub job_id: ::prost::alloc::string::String,
    /// Who caused it: a principal, or "system:<task>" for background work.
    #[prost(string, tag = "13")]
    pub actor_id: ::prost::alloc::string::String,
    /// The key of the command that caused it; the job's key, where that had none of its own.
    #[prost(string, tag = "14")]
    pub idempotency_key: ::prost::alloc::string::String,
    /// Of the call that caused it, or of the job's submission where none did.
    #[prost(string, tag = "15")]
    pub request_id: ::prost::alloc::string::String,
    /// W3C trace context, never empty: where a caller sends none, the service begins one. What workers and background work
    /// do to a job is in the trace of its submission.
    #[prost(string, tag = "16")]
    pub traceparent: ::prost::alloc::string::String,
    /// The second part of traceparent, 32 hexadecimal digits.
    #[prost(string, tag = "17")]
    pub trace_id: ::prost::alloc::string::String,
    /// W3C tracestate that came with it, at most 512 characters; mostly empty.
    #[prost(string, tag = "18")]
    pub tracestate: ::prost::alloc::string::String,
    /// The job id, for events of a job. Events with one ordering key are delivered in the order of key_seq, which starts at 1
    /// and has no gaps.
    #[prost(string, tag = "20")]
    pub ordering_key: ::prost::alloc::string::String,
    #[prost(uint64, tag = "21")]
    pub key_seq: u64,
    /// One message of this package, by type URL "type.googleapis.com/holdfast.events.v1.<Message>".
    #[prost(message, optional, tag = "30")]
    pub data: ::core::option::Option<::prost_types::Any>,
}
/// job.blocked: submitted, and waits for other jobs to end; or held, from then on or later, by a kill switch or while policy is
/// away.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct JobBlocked {
    #[prost(string, tag = "1")]
    pub intent: ::prost::alloc::string::String,
    /// "project" or "infra".
    #[prost(string, tag = "2")]
    pub queue: ::prost::alloc::string::String,
    /// "A", "B" or "C".
    #[prost(string, tag = "3")]
    pub tier: ::prost::alloc::string::String,
    /// 0 to 9 (first).
    #[prost(int32, tag = "4")]
    pub priority: i32,
    #[prost(message, optional, tag = "5")]
    pub run_after: ::core::option::Option<::prost_types::Timestamp>,
    /// BLAKE3 of the payload, 32 bytes, and its size. Not told again where the job was known before.
    #[prost(bytes = "vec", tag = "6")]
    pub payload_digest: ::prost::alloc::vec::Vec<u8>,
    #[prost(uint64, tag = "7")]
    pub payload_bytes: u64,
    /// The job on whose behalf it is done; empty for others.
    #[prost(string, tag = "8")]
    pub parent_job_id: ::prost::alloc::string::String,
    /// The jobs that it waits for; those that had ended before are not among them.
    #[prost(string, repeated, tag = "9")]
    pub depends_on: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// "public", "internal" or "sensitive"; "US", "EU" or "global".
    #[prost(string, tag = "20")]
    pub classification: ::prost::alloc::string::String,
    #[prost(string, tag = "21")]
    pub residency: ::prost::alloc::string::String,
    /// What else holds it, as holdfast.jobs.v1.Job.held_by says.
    #[prost(string, repeated, tag = "22")]
    pub held_by: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
}
/// job.queued: submitted, approved, free of what blocked it, or released by a draining worker.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct JobQueued {
    #[prost(string, tag = "1")]
    pub intent: ::prost::alloc::string::String,
    /// "project" or "infra".
    #[prost(string, tag = "2")]
    pub queue: ::prost::alloc::string::String,
    /// "A", "B" or "C".
    #[prost(string, tag = "3")]
    pub tier: ::prost::alloc::string::String,
    /// 0 to 9 (first).
    #[prost(int32, tag = "4")]
    pub priority: i32,
    /// Not leased before this time; absent where the job may run at once.
    #[prost(message, optional, tag = "5")]
    pub run_after: ::core::option::Option<::prost_types::Timestamp>,
    /// True where a worker gave the job back unfinished; no attempt is spent.
    #[prost(bool, tag = "6")]
    pub released: bool,
    /// BLAKE3 of the payload, 32 bytes, and its size. Not told again where the job was known before.
    #[prost(bytes = "vec", tag = "7")]
    pub payload_digest: ::prost::alloc::vec::Vec<u8>,
    #[prost(uint64, tag = "8")]
    pub payload_bytes: u64,
    /// The decision by which it was queued; empty for others.
    #[prost(string, tag = "9")]
    pub approval_id: ::prost::alloc::string::String,
    /// The job that this one does anew; empty for others.
    #[prost(string, tag = "10")]
    pub resubmits: ::prost::alloc::string::String,
    /// The job on whose behalf it is done; empty for others.
    #[prost(string, tag = "11")]
    pub parent_job_id: ::prost::alloc::string::String,
    /// "public", "internal" or "sensitive"; "US", "EU" or "global".
    #[prost(string, tag = "20")]
    pub classification: ::prost::alloc::string::String,
    #[prost(string, tag = "21")]
    pub residency: ::prost::alloc::string::String,
}
/// job.waiting_human_decision: submitted as tier C, free of its dependencies, or open for a decision again.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct JobWaitingHumanDecision {
    #[prost(string, tag = "1")]
    pub intent: ::prost::alloc::string::String,
    /// "project" or "infra".
    #[prost(string, tag = "2")]
    pub queue: ::prost::alloc::string::String,
    #[prost(string, tag = "3")]
    pub tier: ::prost::alloc::string::String,
    #[prost(int32, tag = "4")]
    pub priority: i32,
    /// When it times out without a decision.
    #[prost(message, optional, tag = "5")]
    pub decide_by: ::core::option::Option<::prost_types::Timestamp>,
    /// BLAKE3 of the payload, 32 bytes; empty where the job was known before.
    #[prost(bytes = "vec", tag = "6")]
    pub payload_digest: ::prost::alloc::vec::Vec<u8>,
    #[prost(uint64, tag = "7")]
    pub payload_bytes: u64,
    /// The decision that was withdrawn or followed up; empty for a submission.
    #[prost(string, tag = "8")]
    pub approval_id: ::prost::alloc::string::String,
    /// The job that this one does anew; empty for others.
    #[prost(string, tag = "9")]
    pub resubmits: ::prost::alloc::string::String,
    /// The job on whose behalf it is done; empty for others.
    #[prost(string, tag = "10")]
    pub parent_job_id: ::prost::alloc::string::String,
    /// "public", "internal" or "sensitive"; "US", "EU" or "global".
    #[prost(string, tag = "20")]
    pub classification: ::prost::alloc::string::String,
    #[prost(string, tag = "21")]
    pub residency: ::prost::alloc::string::String,
}
/// job.changes_requested
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct JobChangesRequested {
    #[prost(string, tag = "1")]
    pub approval_id: ::prost::alloc::string::String,
    /// What the approver gave as reason; at most 1,024 characters.
    #[prost(string, tag = "2")]
    pub reason: ::prost::alloc::string::String,
}
/// job.deferred
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct JobDeferred {
    #[prost(string, tag = "1")]
    pub approval_id: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub reason: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "3")]
    pub decide_by: ::core::option::Option<::prost_types::Timestamp>,
}
/// job.rejected
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct JobRejected {
    #[prost(string, tag = "1")]
    pub approval_id: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub reason: ::prost::alloc::string::String,
}
/// hitl.reminder.sent: a job still waits for a decision. The ordering key is "reminder:" and the job's id.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct HitlReminderSent {
    #[prost(string, tag = "1")]
    pub intent: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub queue: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "3")]
    pub waiting_since: ::core::option::Option<::prost_types::Timestamp>,
    #[prost(message, optional, tag = "4")]
    pub decide_by: ::core::option::Option<::prost_types::Timestamp>,
}
/// job.queue_overdue: the job has waited for a worker for longer than its intent lets it, and waits on. Said once a job, however often
/// it comes back to the queue. The ordering key is "queue_overdue:" and the job's id. Where the intent asks for it the job is timed
/// out instead.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct JobQueueOverdue {
    #[prost(string, tag = "1")]
    pub intent: ::prost::alloc::string::String,
    /// "project" or "infra".
    #[prost(string, tag = "2")]
    pub queue: ::prost::alloc::string::String,
    /// "A", "B" or "C".
    #[prost(string, tag = "3")]
    pub tier: ::prost::alloc::string::String,
    /// As holdfast.jobs.v1.QueueClock counts, in milliseconds; and what it was not to be more than.
    #[prost(uint64, tag = "4")]
    pub waited_ms: u64,
    #[prost(uint64, tag = "5")]
    pub budget_ms: u64,
}
/// job.running: leased to a worker.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct JobRunning {
    /// 1 for the first.
    #[prost(int32, tag = "1")]
    pub attempt: i32,
    #[prost(string, tag = "2")]
    pub worker_id: ::prost::alloc::string::String,
    /// A UUID.
    #[prost(string, tag = "3")]
    pub lease_id: ::prost::alloc::string::String,
    /// Grows with each lease of the job.
    #[prost(uint64, tag = "4")]
    pub fencing_token: u64,
    /// As it was given; extensions are not told.
    #[prost(message, optional, tag = "5")]
    pub lease_expires_at: ::core::option::Option<::prost_types::Timestamp>,
}
/// job.retrying: an attempt failed or its lease was lost; the job waits for its back-off.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct JobRetrying {
    #[prost(int32, tag = "1")]
    pub attempt: i32,
    #[prost(message, optional, tag = "2")]
    pub failure: ::core::option::Option<JobFailure>,
    #[prost(message, optional, tag = "3")]
    pub next_attempt_at: ::core::option::Option<::prost_types::Timestamp>,
}
/// job.done
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct JobDone {
    #[prost(int32, tag = "1")]
    pub attempt: i32,
    #[prost(uint64, tag = "2")]
    pub fencing_token: u64,
    /// BLAKE3 of the result, 32 bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub result_digest: ::prost::alloc::vec::Vec<u8>,
    #[prost(uint64, tag = "4")]
    pub result_bytes: u64,
    /// Time under lease over all attempts.
    #[prost(uint64, tag = "5")]
    pub run_ms: u64,
}
/// job.failed: not retryable, or no retries left.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct JobFailed {
    #[prost(int32, tag = "1")]
    pub attempt: i32,
    #[prost(message, optional, tag = "2")]
    pub failure: ::core::option::Option<JobFailure>,
    #[prost(bool, tag = "3")]
    pub retries_exhausted: bool,
}
/// job.timed_out
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct JobTimedOut {
    #[prost(int32, tag = "1")]
    pub attempt: i32,
    /// The clock that ran out: "run", "human", "total", "age", "queue".
    #[prost(string, tag = "2")]
    pub clock: ::prost::alloc::string::String,
}
/// job.cancelled
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct JobCancelled {
    /// What the canceller gave as reason; at most 512 characters.
    #[prost(string, tag = "1")]
    pub reason: ::prost::alloc::string::String,
    #[prost(int32, tag = "2")]
    pub attempt: i32,
}
/// job.budget_exceeded: more was used of a budget that the job draws on than its limit.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct JobBudgetExceeded {
    /// "job", "user", "project" or "tenant".
    #[prost(string, tag = "1")]
    pub scope: ::prost::alloc::string::String,
    /// Whose budget: an id of that scope.
    #[prost(string, tag = "2")]
    pub scope_id: ::prost::alloc::string::String,
    /// What ran out: "tokens", or "cost" in millionths of a US dollar.
    #[prost(string, tag = "3")]
    pub measure: ::prost::alloc::string::String,
    #[prost(int64, tag = "4")]
    pub limit: i64,
    #[prost(int64, tag = "5")]
    pub used: i64,
    /// When the budget begins anew; absent for a job's own.
    #[prost(message, optional, tag = "6")]
    pub resets_at: ::core::option::Option<::prost_types::Timestamp>,
    #[prost(int32, tag = "7")]
    pub attempt: i32,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct JobFailure {
    /// The worker's own code, or "lease_lost".
    #[prost(string, tag = "1")]
    pub code: ::prost::alloc::string::String,
    /// At most 1,024 characters; what the worker said, so it must hold no secrets.
    #[prost(string, tag = "2")]
    pub message: ::prost::alloc::string::String,
}
/// Which lease of which resource an event is about.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct LockSubject {
    #[prost(string, tag = "1")]
    pub class: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub key: ::prost::alloc::string::String,
    /// A UUIDv7; names the lease of all its resources.
    #[prost(string, tag = "3")]
    pub lease_id: ::prost::alloc::string::String,
    #[prost(uint64, tag = "4")]
    pub fencing_token: u64,
    /// The principal that acquired it, and its label.
    #[prost(string, tag = "5")]
    pub holder_actor_id: ::prost::alloc::string::String,
    #[prost(string, tag = "6")]
    pub owner: ::prost::alloc::string::String,
}
/// lock.granted
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct LockGranted {
    #[prost(message, optional, tag = "1")]
    pub lock: ::core::option::Option<LockSubject>,
    #[prost(message, optional, tag = "2")]
    pub expires_at: ::core::option::Option<::prost_types::Timestamp>,
    /// How long it was waited for.
    #[prost(uint64, tag = "3")]
    pub waited_ms: u64,
}
/// lock.released: by its holder, or because the grant could not be delivered or mirrored.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct LockReleased {
    #[prost(message, optional, tag = "1")]
    pub lock: ::core::option::Option<LockSubject>,
    /// How long it was held.
    #[prost(uint64, tag = "2")]
    pub held_ms: u64,
}
/// lock.expired: it was not renewed, and is stale.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct LockExpired {
    #[prost(message, optional, tag = "1")]
    pub lock: ::core::option::Option<LockSubject>,
    #[prost(uint64, tag = "2")]
    pub held_ms: u64,
    /// When it ran out for its holder.
    #[prost(message, optional, tag = "3")]
    pub expired_at: ::core::option::Option<::prost_types::Timestamp>,
}
/// lock.forced: a person ended it.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct LockForced {
    #[prost(message, optional, tag = "1")]
    pub lock: ::core::option::Option<LockSubject>,
    #[prost(uint64, tag = "2")]
    pub held_ms: u64,
    #[prost(string, tag = "3")]
    pub reason: ::prost::alloc::string::String,
}
/// lock.fence_rejected: somebody presented a token that is not current. At most one a second and resource.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct LockFenceRejected {
    #[prost(string, tag = "1")]
    pub class: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub key: ::prost::alloc::string::String,
    #[prost(uint64, tag = "3")]
    pub presented_token: u64,
    /// The highest that was ever given.
    #[prost(uint64, tag = "4")]
    pub highest_token: u64,
}
/// operations.table_row_count.passed: a table was found past a mark that it was not past when it was counted before. Tables are
/// counted once a day. The ordering key is "table_row_count:", the schema, the table and the day.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct TableRowCountPassed {
    #[prost(string, tag = "1")]
    pub schema: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub table: ::prost::alloc::string::String,
    /// Estimated from the catalogue.
    #[prost(uint64, tag = "3")]
    pub rows: u64,
    /// "preparation": somebody has to plan what becomes of the oldest rows. "activation": it has to be done by now.
    #[prost(string, tag = "4")]
    pub mark: ::prost::alloc::string::String,
    /// Where the mark is; configured.
    #[prost(uint64, tag = "5")]
    pub mark_rows: u64,
    /// "SEV3" for preparation, "SEV2" for activation.
    #[prost(string, tag = "6")]
    pub severity: ::prost::alloc::string::String,
    /// Whether its oldest rows can be archived partition by partition.
    #[prost(bool, tag = "7")]
    pub is_partitioned: bool,
    /// In UTC: "2026-01-31".
    #[prost(string, tag = "8")]
    pub day: ::prost::alloc::string::String,
}
/// operations.killswitch.activated: from now on no work in scope begins, and what runs is cancelled.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct KillSwitchActivated {
    /// "global", "project", "agent" or "intent".
    #[prost(string, tag = "1")]
    pub scope: ::prost::alloc::string::String,
    /// The project, principal or intent; empty for "global".
    #[prost(string, tag = "2")]
    pub target: ::prost::alloc::string::String,
    /// Empty for "global", and for an "intent" of all tenants.
    #[prost(string, tag = "3")]
    pub tenant_id: ::prost::alloc::string::String,
    /// At most 1,024 characters, no secrets.
    #[prost(string, tag = "4")]
    pub reason: ::prost::alloc::string::String,
    /// Who activated it.
    #[prost(string, tag = "5")]
    pub actor_id: ::prost::alloc::string::String,
    /// Of this change; see holdfast.policy.v1.GetSnapshotResponse.version. Switches lie on different shards, so that events
    /// may arrive in another order than that of the versions: of one switch the highest version counts.
    #[prost(uint64, tag = "6")]
    pub version: u64,
}
/// operations.killswitch.deactivated: work in scope goes on; what was cancelled stays so.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct KillSwitchDeactivated {
    /// As activated.
    #[prost(string, tag = "1")]
    pub scope: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub target: ::prost::alloc::string::String,
    #[prost(string, tag = "3")]
    pub tenant_id: ::prost::alloc::string::String,
    #[prost(string, tag = "4")]
    pub reason: ::prost::alloc::string::String,
    /// Who deactivated it.
    #[prost(string, tag = "5")]
    pub actor_id: ::prost::alloc::string::String,
    /// Of this change.
    #[prost(uint64, tag = "6")]
    pub version: u64,
}
/// project.settings_changed: an owner or admin replaced the settings of a project. The ordering key is "project:", the tenant,
/// "/" and the project; its sequence is the version. GetProject has the settings.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ProjectSettingsChanged {
    /// From 1.
    #[prost(uint64, tag = "1")]
    pub version: u64,
    /// The fields of ProjectSettings that are not as they were: "running_max", "intents".
    #[prost(string, repeated, tag = "2")]
    pub changed: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
}
