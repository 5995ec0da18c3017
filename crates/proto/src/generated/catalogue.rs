// @generated from proto/ by `make proto`. Do not edit.

use super::v1::Reason;

/// One row a reason: (reason, its name on the wire, gRPC status code, retryable).
pub const CATALOGUE: &[(Reason, &str, i32, bool)] = &[
    (Reason::Auth401MissingToken, "AUTH_401_MISSING_TOKEN", 16, false),
    (Reason::Auth401InvalidToken, "AUTH_401_INVALID_TOKEN", 16, false),
    (Reason::Auth403Scope, "AUTH_403_SCOPE", 7, false),
    (Reason::Auth403Role, "AUTH_403_ROLE", 7, false),
    (Reason::Req400InvalidSchema, "REQ_400_INVALID_SCHEMA", 3, false),
    (Reason::Req400MissingField, "REQ_400_MISSING_FIELD", 3, false),
    (Reason::Req422InvalidState, "REQ_422_INVALID_STATE", 9, false),
    (Reason::Req408Deadline, "REQ_408_DEADLINE", 4, false),
    (Reason::Req408SlowConsumer, "REQ_408_SLOW_CONSUMER", 8, true),
    (Reason::Req416TokenExpired, "REQ_416_TOKEN_EXPIRED", 11, false),
    (Reason::Job404NotFound, "JOB_404_NOT_FOUND", 5, false),
    (Reason::Job409IdempotencyConflict, "JOB_409_IDEMPOTENCY_CONFLICT", 6, false),
    (Reason::Job409AlreadyTerminal, "JOB_409_ALREADY_TERMINAL", 9, false),
    (Reason::Job409StaleFence, "JOB_409_STALE_FENCE", 9, false),
    (Reason::Job422NotCancellable, "JOB_422_NOT_CANCELLABLE", 9, false),
    (Reason::Job503QueueUnavailable, "JOB_503_QUEUE_UNAVAILABLE", 14, true),
    (Reason::Job422DelegationDepthExceeded, "JOB_422_DELEGATION_DEPTH_EXCEEDED", 9, false),
    (Reason::Job422DependencyCycle, "JOB_422_DEPENDENCY_CYCLE", 9, false),
    (Reason::Idempotency404NotFound, "IDEMPOTENCY_404_NOT_FOUND", 5, false),
    (Reason::Idempotency409StaleToken, "IDEMPOTENCY_409_STALE_TOKEN", 9, false),
    (Reason::Policy409RequiresApproval, "POLICY_409_REQUIRES_APPROVAL", 9, false),
    (Reason::Approval409DecisionConflict, "APPROVAL_409_DECISION_CONFLICT", 9, false),
    (Reason::Approval403NotApprover, "APPROVAL_403_NOT_APPROVER", 7, false),
    (Reason::Policy403Denied, "POLICY_403_DENIED", 7, false),
    (Reason::Project409VersionConflict, "PROJECT_409_VERSION_CONFLICT", 10, false),
    (Reason::Policy503EngineUnavailable, "POLICY_503_ENGINE_UNAVAILABLE", 14, true),
    (Reason::Rate429Throttled, "RATE_429_THROTTLED", 8, true),
    (Reason::Budget429Limit, "BUDGET_429_LIMIT", 8, true),
    (Reason::Budget409Exceeded, "BUDGET_409_EXCEEDED", 9, false),
    (Reason::Infra503DependencyDown, "INFRA_503_DEPENDENCY_DOWN", 14, true),
    (Reason::Infra503Draining, "INFRA_503_DRAINING", 14, true),
    (Reason::Internal500Unexpected, "INTERNAL_500_UNEXPECTED", 13, false),
];
