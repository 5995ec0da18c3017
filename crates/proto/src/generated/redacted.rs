// @generated from proto/ by `make proto`. Do not edit.

/// The full names of fields that can hold, or give away, what must not be read by others.
pub const REDACTED: &[&str] = &[
    "holdfast.events.v1.JobBlocked.payload_digest",
    "holdfast.events.v1.JobCancelled.reason",
    "holdfast.events.v1.JobChangesRequested.reason",
    "holdfast.events.v1.JobDeferred.reason",
    "holdfast.events.v1.JobDone.result_digest",
    "holdfast.events.v1.JobFailure.message",
    "holdfast.events.v1.JobQueued.payload_digest",
    "holdfast.events.v1.JobRejected.reason",
    "holdfast.events.v1.JobWaitingHumanDecision.payload_digest",
    "holdfast.events.v1.LockForced.reason",
    "holdfast.jobs.v1.Approval.reason",
    "holdfast.jobs.v1.CancelJobRequest.reason",
    "holdfast.jobs.v1.CompleteKeyRequest.outcome",
    "holdfast.jobs.v1.DecideJobRequest.reason",
    "holdfast.jobs.v1.FailJobRequest.message",
    "holdfast.jobs.v1.Failure.message",
    "holdfast.jobs.v1.GetKeyResponse.outcome",
    "holdfast.jobs.v1.JobEvent.detail",
    "holdfast.jobs.v1.Payload.data",
    "holdfast.jobs.v1.Progress.note",
    "holdfast.jobs.v1.ReserveKeyRequest.request",
    "holdfast.jobs.v1.ReserveKeyResponse.Completed.outcome",
    "holdfast.locks.v1.ForceReleaseLockRequest.reason",
];
