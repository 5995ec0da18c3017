//! Decisions, in and out.

use holdfast_fault::Fault;
use holdfast_ids::{ApprovalId, IdempotencyKey, JobId};
use holdfast_proto::jobs::v1 as pb;

use super::field::{id, named, optional_id, text, timestamp, trace_id};
use crate::app::decide::{Decided, Ordered};
use crate::domain::approval::{Approval, Decision};

const REASON_CHARS_MAX: usize = 1024;

fn decision(decision: Decision) -> pb::Decision {
    match decision {
        Decision::Approve => pb::Decision::Approve,
        Decision::Reject => pb::Decision::Reject,
        Decision::RequestChanges => pb::Decision::RequestChanges,
        Decision::Defer => pb::Decision::Defer,
    }
}

fn known_decision(wire: pb::Decision) -> Option<Decision> {
    Decision::ALL.iter().copied().find(|known| decision(*known) == wire)
}

impl TryFrom<pb::DecideJobRequest> for Ordered {
    type Error = Fault;

    fn try_from(request: pb::DecideJobRequest) -> Result<Self, Fault> {
        let ordered = Self {
            job_id: id("job_id", &request.job_id, JobId::parse)?,
            decision: named("decision", request.decision, known_decision)?,
            reason: text("reason", request.reason, REASON_CHARS_MAX)?,
            corrects: optional_id("corrects", &request.corrects, ApprovalId::parse)?,
            key: id("idempotency_key", &request.idempotency_key, IdempotencyKey::parse)?,
        };
        // Whoever is told no, or not yet, is told why.
        if ordered.decision != Decision::Approve && ordered.reason.trim().is_empty() {
            return Err(Fault::missing("reason"));
        }
        Ok(ordered)
    }
}

/// One record, as callers see it.
pub fn approval(job_id: &str, approval: Approval) -> pb::Approval {
    pb::Approval {
        approval_id: approval.approval_id.to_string(),
        job_id: job_id.to_owned(),
        number: approval.number,
        decision: decision(approval.decision).into(),
        reason: approval.reason,
        actor_id: approval.actor_id.to_string(),
        role: approval.role,
        corrects: approval.corrects.map(|corrects| corrects.to_string()).unwrap_or_default(),
        decided_at: Some(timestamp(approval.decided_at)),
        trace_id: trace_id(&approval.traceparent),
        request_id: approval.request_id,
    }
}

impl From<Decided> for pb::DecideJobResponse {
    fn from(decided: Decided) -> Self {
        let approval = approval(&decided.job.job_id.to_string(), decided.approval);
        Self { job: Some(decided.job.into()), approval: Some(approval), replayed: decided.replayed }
    }
}
