// @generated from proto/ by `make proto`. Do not edit.
/// What a client may know of a reason without a table of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ReasonTraits {
    /// The canonical gRPC status code (google.rpc.Code) that a call failing with this reason ends with.
    #[prost(int32, tag = "1")]
    pub grpc_code: i32,
    /// True where the same request, sent again after the RetryInfo delay, can succeed.
    #[prost(bool, tag = "2")]
    pub retryable: bool,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum Reason {
    Unspecified = 0,
    /// The call carried no bearer token.
    Auth401MissingToken = 1,
    /// The token is malformed, not signed by a known key, expired, too long-lived, revoked, or meant for another audience.
    Auth401InvalidToken = 2,
    /// The token is valid, but not for this tenant, project or intent.
    Auth403Scope = 3,
    /// The token is valid, but its kind or role may not call this method.
    Auth403Role = 4,
    /// A field has a value that the contract does not allow; BadRequest names each of them.
    Req400InvalidSchema = 10,
    /// A required field is empty; BadRequest names each of them.
    Req400MissingField = 11,
    /// The object is in a state that does not allow this transition.
    Req422InvalidState = 12,
    /// The deadline of the call passed. Where a change was asked for, whether it was made is not known: repeat it under the same key.
    Req408Deadline = 13,
    /// The caller did not take what a stream had for it. Call again from the last resume token.
    Req408SlowConsumer = 18,
    /// The resume token is older than events are kept: what came since can no longer be told without a gap.
    Req416TokenExpired = 19,
    /// No such job in the tenants and projects of the caller.
    Job404NotFound = 20,
    /// The key was used in its window with another request.
    Job409IdempotencyConflict = 21,
    /// The job has ended; a final state never changes.
    Job409AlreadyTerminal = 22,
    /// The lease named is not, or no longer, the job's current one.
    Job409StaleFence = 23,
    /// The job is in a state in which it cannot be cancelled.
    Job422NotCancellable = 24,
    /// The job would have more than three parents above it.
    Job422DelegationDepthExceeded = 26,
    /// The job would wait, directly or through others, for what waits for it.
    Job422DependencyCycle = 27,
    /// The queue of the project is full; submit again later.
    Job503QueueUnavailable = 25,
    /// The resource is held by somebody else, or the request would break the order in which its owner takes resources: the metadata's cause says which.
    Job409Locked = 28,
    /// No such lease, or class of locks, in the scope of the caller.
    Lock404NotFound = 70,
    /// The lease is over: it ran out, was released, or was taken by force. Nothing may be written under its tokens.
    Lock409StaleFence = 71,
    /// The lease was renewed as often as it may be. Release it, and acquire again behind those who wait.
    Lock409RenewalsExhausted = 72,
    /// No such key in the scope of the caller.
    Idempotency404NotFound = 30,
    /// The reservation token is not the current one: the reservation ran out and another caller took over.
    Idempotency409StaleToken = 31,
    /// The action needs a human decision first. Reserved: this version does not send it.
    Policy409RequiresApproval = 40,
    /// Policy has been away for too long for new work to be taken.
    Policy503EngineUnavailable = 48,
    /// Another decision about this job stands.
    Approval409DecisionConflict = 41,
    /// The caller may see this job, but not decide about it.
    Approval403NotApprover = 42,
    /// A rule of the deployment or of the project does not allow it.
    Policy403Denied = 43,
    /// The settings of the project are not at the version that the caller has read.
    Project409VersionConflict = 45,
    /// More submissions of this caller than its class may make in a minute, or too many watches of this instance.
    Rate429Throttled = 50,
    /// A budget that the job would draw on is exceeded until it resets.
    Budget429Limit = 51,
    /// The job on whose behalf this one would be done ended because it exceeded a budget.
    Budget409Exceeded = 52,
    /// A store or another service that this call needs cannot be reached now.
    Infra503DependencyDown = 60,
    /// This instance is shutting down; the next one will answer.
    Infra503Draining = 61,
    /// A defect. The request id finds it in the logs.
    Internal500Unexpected = 62,
}
impl Reason {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unspecified => "REASON_UNSPECIFIED",
            Self::Auth401MissingToken => "REASON_AUTH_401_MISSING_TOKEN",
            Self::Auth401InvalidToken => "REASON_AUTH_401_INVALID_TOKEN",
            Self::Auth403Scope => "REASON_AUTH_403_SCOPE",
            Self::Auth403Role => "REASON_AUTH_403_ROLE",
            Self::Req400InvalidSchema => "REASON_REQ_400_INVALID_SCHEMA",
            Self::Req400MissingField => "REASON_REQ_400_MISSING_FIELD",
            Self::Req422InvalidState => "REASON_REQ_422_INVALID_STATE",
            Self::Req408Deadline => "REASON_REQ_408_DEADLINE",
            Self::Req408SlowConsumer => "REASON_REQ_408_SLOW_CONSUMER",
            Self::Req416TokenExpired => "REASON_REQ_416_TOKEN_EXPIRED",
            Self::Job404NotFound => "REASON_JOB_404_NOT_FOUND",
            Self::Job409IdempotencyConflict => "REASON_JOB_409_IDEMPOTENCY_CONFLICT",
            Self::Job409AlreadyTerminal => "REASON_JOB_409_ALREADY_TERMINAL",
            Self::Job409StaleFence => "REASON_JOB_409_STALE_FENCE",
            Self::Job422NotCancellable => "REASON_JOB_422_NOT_CANCELLABLE",
            Self::Job422DelegationDepthExceeded => {
                "REASON_JOB_422_DELEGATION_DEPTH_EXCEEDED"
            }
            Self::Job422DependencyCycle => "REASON_JOB_422_DEPENDENCY_CYCLE",
            Self::Job503QueueUnavailable => "REASON_JOB_503_QUEUE_UNAVAILABLE",
            Self::Job409Locked => "REASON_JOB_409_LOCKED",
            Self::Lock404NotFound => "REASON_LOCK_404_NOT_FOUND",
            Self::Lock409StaleFence => "REASON_LOCK_409_STALE_FENCE",
            Self::Lock409RenewalsExhausted => "REASON_LOCK_409_RENEWALS_EXHAUSTED",
            Self::Idempotency404NotFound => "REASON_IDEMPOTENCY_404_NOT_FOUND",
            Self::Idempotency409StaleToken => "REASON_IDEMPOTENCY_409_STALE_TOKEN",
            Self::Policy409RequiresApproval => "REASON_POLICY_409_REQUIRES_APPROVAL",
            Self::Policy503EngineUnavailable => "REASON_POLICY_503_ENGINE_UNAVAILABLE",
            Self::Approval409DecisionConflict => "REASON_APPROVAL_409_DECISION_CONFLICT",
            Self::Approval403NotApprover => "REASON_APPROVAL_403_NOT_APPROVER",
            Self::Policy403Denied => "REASON_POLICY_403_DENIED",
            Self::Project409VersionConflict => "REASON_PROJECT_409_VERSION_CONFLICT",
            Self::Rate429Throttled => "REASON_RATE_429_THROTTLED",
            Self::Budget429Limit => "REASON_BUDGET_429_LIMIT",
            Self::Budget409Exceeded => "REASON_BUDGET_409_EXCEEDED",
            Self::Infra503DependencyDown => "REASON_INFRA_503_DEPENDENCY_DOWN",
            Self::Infra503Draining => "REASON_INFRA_503_DRAINING",
            Self::Internal500Unexpected => "REASON_INTERNAL_500_UNEXPECTED",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "REASON_UNSPECIFIED" => Some(Self::Unspecified),
            "REASON_AUTH_401_MISSING_TOKEN" => Some(Self::Auth401MissingToken),
            "REASON_AUTH_401_INVALID_TOKEN" => Some(Self::Auth401InvalidToken),
            "REASON_AUTH_403_SCOPE" => Some(Self::Auth403Scope),
            "REASON_AUTH_403_ROLE" => Some(Self::Auth403Role),
            "REASON_REQ_400_INVALID_SCHEMA" => Some(Self::Req400InvalidSchema),
            "REASON_REQ_400_MISSING_FIELD" => Some(Self::Req400MissingField),
            "REASON_REQ_422_INVALID_STATE" => Some(Self::Req422InvalidState),
            "REASON_REQ_408_DEADLINE" => Some(Self::Req408Deadline),
            "REASON_REQ_408_SLOW_CONSUMER" => Some(Self::Req408SlowConsumer),
            "REASON_REQ_416_TOKEN_EXPIRED" => Some(Self::Req416TokenExpired),
            "REASON_JOB_404_NOT_FOUND" => Some(Self::Job404NotFound),
            "REASON_JOB_409_IDEMPOTENCY_CONFLICT" => {
                Some(Self::Job409IdempotencyConflict)
            }
            "REASON_JOB_409_ALREADY_TERMINAL" => Some(Self::Job409AlreadyTerminal),
            "REASON_JOB_409_STALE_FENCE" => Some(Self::Job409StaleFence),
            "REASON_JOB_422_NOT_CANCELLABLE" => Some(Self::Job422NotCancellable),
            "REASON_JOB_422_DELEGATION_DEPTH_EXCEEDED" => {
                Some(Self::Job422DelegationDepthExceeded)
            }
            "REASON_JOB_422_DEPENDENCY_CYCLE" => Some(Self::Job422DependencyCycle),
            "REASON_JOB_503_QUEUE_UNAVAILABLE" => Some(Self::Job503QueueUnavailable),
            "REASON_JOB_409_LOCKED" => Some(Self::Job409Locked),
            "REASON_LOCK_404_NOT_FOUND" => Some(Self::Lock404NotFound),
            "REASON_LOCK_409_STALE_FENCE" => Some(Self::Lock409StaleFence),
            "REASON_LOCK_409_RENEWALS_EXHAUSTED" => Some(Self::Lock409RenewalsExhausted),
            "REASON_IDEMPOTENCY_404_NOT_FOUND" => Some(Self::Idempotency404NotFound),
            "REASON_IDEMPOTENCY_409_STALE_TOKEN" => Some(Self::Idempotency409StaleToken),
            "REASON_POLICY_409_REQUIRES_APPROVAL" => {
                Some(Self::Policy409RequiresApproval)
            }
            "REASON_POLICY_503_ENGINE_UNAVAILABLE" => {
                Some(Self::Policy503EngineUnavailable)
            }
            "REASON_APPROVAL_409_DECISION_CONFLICT" => {
                Some(Self::Approval409DecisionConflict)
            }
            "REASON_APPROVAL_403_NOT_APPROVER" => Some(Self::Approval403NotApprover),
            "REASON_POLICY_403_DENIED" => Some(Self::Policy403Denied),
            "REASON_PROJECT_409_VERSION_CONFLICT" => {
                Some(Self::Project409VersionConflict)
            }
            "REASON_RATE_429_THROTTLED" => Some(Self::Rate429Throttled),
            "REASON_BUDGET_429_LIMIT" => Some(Self::Budget429Limit),
            "REASON_BUDGET_409_EXCEEDED" => Some(Self::Budget409Exceeded),
            "REASON_INFRA_503_DEPENDENCY_DOWN" => Some(Self::Infra503DependencyDown),
            "REASON_INFRA_503_DRAINING" => Some(Self::Infra503Draining),
            "REASON_INTERNAL_500_UNEXPECTED" => Some(Self::Internal500Unexpected),
            _ => None,
        }
    }
}
