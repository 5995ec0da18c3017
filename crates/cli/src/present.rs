//! Jobs and their history as tables and as JSON. The names are those of the contract, in lower case.

pub(crate) mod locks;

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, SecondsFormat, Utc};
use holdfast_client::pb::{
    Approval, Classification, Decision, Job, JobEvent, JobState, Payload, Queue, QueueClock, Residency, RiskTier,
};
use prost_types::Timestamp;
use serde_json::{Map, Value, json};

use crate::output::Table;

pub(crate) fn state_name(state: i32) -> String {
    suffix(JobState::try_from(state).unwrap_or_default().as_str_name(), "JOB_STATE_").to_lowercase()
}

fn queue_name(queue: i32) -> String {
    suffix(Queue::try_from(queue).unwrap_or_default().as_str_name(), "QUEUE_").to_lowercase()
}

fn tier_name(tier: i32) -> String {
    suffix(RiskTier::try_from(tier).unwrap_or_default().as_str_name(), "RISK_TIER_").to_owned()
}

fn classification_name(classification: i32) -> String {
    let name = Classification::try_from(classification).unwrap_or_default().as_str_name();
    suffix(name, "CLASSIFICATION_").to_lowercase()
}

/// As configuration spells it.
fn residency_name(residency: i32) -> &'static str {
    match Residency::try_from(residency).unwrap_or_default() {
        Residency::Unspecified => "",
        Residency::Us => "US",
        Residency::Eu => "EU",
        Residency::Global => "global",
    }
}

fn suffix<'a>(name: &'a str, prefix: &str) -> &'a str {
    name.strip_prefix(prefix).unwrap_or(name)
}

/// RFC 3339 in UTC with milliseconds; empty where absent.
pub(crate) fn time(timestamp: Option<&Timestamp>) -> String {
    holdfast_client::time(timestamp).map(moment).unwrap_or_default()
}

pub(crate) fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Text where it is text; base64 where it is not.
fn payload_json(payload: &Payload) -> Value {
    let content_type = &payload.content_type;
    match std::str::from_utf8(&payload.data) {
        Ok(text) => json!({ "content_type": content_type, "text": text }),
        Err(_) => json!({ "content_type": content_type, "base64": BASE64_STANDARD.encode(&payload.data) }),
    }
}

fn payload_text(payload: Option<&Payload>) -> String {
    payload.map_or_else(String::new, |payload| match std::str::from_utf8(&payload.data) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("{} bytes of {}", payload.data.len(), payload.content_type),
    })
}

fn budget_ms(clock: &QueueClock) -> u64 {
    let budget = clock.budget.and_then(|budget| std::time::Duration::try_from(budget).ok());
    budget.unwrap_or_default().as_millis() as u64
}

pub(crate) fn job_json(job: &Job) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| {
        // What is absent is left out.
        if !value.is_null() && value.as_str() != Some("") {
            fields.insert(name.to_owned(), value);
        }
    };
    put("job_id", job.job_id.as_str().into());
    put("tenant_id", job.tenant_id.as_str().into());
    put("project_id", job.project_id.as_str().into());
    put("intent", job.intent.as_str().into());
    put("queue", queue_name(job.queue).into());
    put("tier", tier_name(job.tier).into());
    put("priority", job.priority.into());
    put("state", state_name(job.state).into());
    put("actor_id", job.actor_id.as_str().into());
    put("idempotency_key", job.idempotency_key.as_str().into());
    put("payload", job.payload.as_ref().map_or(Value::Null, payload_json));
    put("result", job.result.as_ref().map_or(Value::Null, payload_json));
    put("attempt", job.attempt.into());
    put("max_attempts", job.max_attempts.into());
    put("last_failure", job.last_failure.as_ref().map_or(Value::Null, |failure| {
        json!({ "code": failure.code, "message": failure.message, "occurred_at": time(failure.occurred_at.as_ref()) })
    }));
    put(
        "progress",
        job.progress
            .as_ref()
            .map_or(Value::Null, |progress| json!({ "percent": progress.percent, "note": progress.note })),
    );
    put("timed_out_clock", job.timed_out_clock.as_str().into());
    put("exceeded_budget", job.exceeded_budget.as_str().into());
    put("worker_id", job.worker_id.as_str().into());
    put("lease_expires_at", time(job.lease_expires_at.as_ref()).into());
    put("run_ms", job.run_ms.into());
    put(
        "queue_clock",
        job.queue_clock
            .as_ref()
            .map_or(Value::Null, |clock| json!({ "waited_ms": clock.waited_ms, "budget_ms": budget_ms(clock) })),
    );
    put("created_at", time(job.created_at.as_ref()).into());
    put("run_after", time(job.run_after.as_ref()).into());
    put("started_at", time(job.started_at.as_ref()).into());
    put("finished_at", time(job.finished_at.as_ref()).into());
    put("next_attempt_at", time(job.next_attempt_at.as_ref()).into());
    put("decide_by", time(job.decide_by.as_ref()).into());
    put("resubmits", job.resubmits.as_str().into());
    put("parent_job_id", job.parent_job_id.as_str().into());
    put("classification", classification_name(job.classification).into());
    put("residency", residency_name(job.residency).into());
    put("seq", job.seq.into());
    put("request_id", job.request_id.as_str().into());
    put("trace_id", job.trace_id.as_str().into());
    Value::Object(fields)
}

pub(crate) fn job_table(job: &Job) -> Table {
    let mut table = Table::fields();
    table.field("job", &job.job_id);
    table.field("state", state_name(job.state));
    table.field("tenant", &job.tenant_id);
    table.field("project", &job.project_id);
    table.field("intent", &job.intent);
    table.field("queue", queue_name(job.queue));
    table.field("tier", tier_name(job.tier));
    table.field("priority", job.priority.to_string());
    table.field("actor", &job.actor_id);
    table.field("key", &job.idempotency_key);
    table.field("attempt", format!("{} of {}", job.attempt, job.max_attempts));
    table.field("worker", &job.worker_id);
    table.field("lease expires", time(job.lease_expires_at.as_ref()));
    if let Some(progress) = &job.progress {
        table.field("progress", format!("{} % {}", progress.percent, progress.note));
    }
    if let Some(failure) = &job.last_failure {
        table.field("last failure", format!("{}: {}", failure.code, failure.message));
    }
    table.field("clock run out", &job.timed_out_clock);
    if let Some(clock) = &job.queue_clock {
        table.field("waited for a worker", format!("{} of {} ms", clock.waited_ms, budget_ms(clock)));
    }
    table.field("exceeded budget", &job.exceeded_budget);
    table.field("created", time(job.created_at.as_ref()));
    table.field("run after", time(job.run_after.as_ref()));
    table.field("next attempt", time(job.next_attempt_at.as_ref()));
    table.field("decide by", time(job.decide_by.as_ref()));
    table.field("does anew", &job.resubmits);
    table.field("on behalf of", &job.parent_job_id);
    table.field("classification", classification_name(job.classification));
    table.field("residency", residency_name(job.residency));
    table.field("started", time(job.started_at.as_ref()));
    table.field("finished", time(job.finished_at.as_ref()));
    table.field("payload", payload_text(job.payload.as_ref()));
    table.field("result", payload_text(job.result.as_ref()));
    table.field("request id", &job.request_id);
    table
}

fn decision_name(decision: i32) -> String {
    suffix(Decision::try_from(decision).unwrap_or_default().as_str_name(), "DECISION_").to_lowercase()
}

pub(crate) fn approval_json(approval: &Approval) -> Value {
    json!({
        "approval_id": approval.approval_id,
        "number": approval.number,
        "decision": decision_name(approval.decision),
        "reason": approval.reason,
        "actor_id": approval.actor_id,
        "role": approval.role,
        "corrects": approval.corrects,
        "decided_at": time(approval.decided_at.as_ref()),
    })
}

pub(crate) fn approvals_table(approvals: &[Approval]) -> Table {
    let mut table = Table::new(["approval", "decision", "by", "as", "at", "corrects", "reason"]);
    for approval in approvals {
        table.row([
            approval.approval_id.clone(),
            decision_name(approval.decision),
            approval.actor_id.clone(),
            approval.role.clone(),
            time(approval.decided_at.as_ref()),
            approval.corrects.clone(),
            approval.reason.clone(),
        ]);
    }
    table
}

pub(crate) fn jobs_table(jobs: &[Job], more: bool) -> Table {
    let mut table = Table::new(["job", "project", "intent", "state", "attempt", "created", "finished"]);
    for job in jobs {
        table.row([
            job.job_id.clone(),
            job.project_id.clone(),
            job.intent.clone(),
            state_name(job.state),
            format!("{}/{}", job.attempt, job.max_attempts),
            time(job.created_at.as_ref()),
            time(job.finished_at.as_ref()),
        ]);
    }
    if more {
        table.footer("there are more: raise --limit");
    }
    table
}

pub(crate) fn event_json(event: &JobEvent) -> Value {
    json!({
        "job_id": event.job_id,
        "seq": event.seq,
        "from_state": Some(state_name(event.from_state)).filter(|_| event.from_state != 0),
        "to_state": state_name(event.to_state),
        "attempt": event.attempt,
        "fencing_token": event.fencing_token,
        "actor_id": event.actor_id,
        "worker_id": event.worker_id,
        "detail": event.detail,
        "occurred_at": time(event.occurred_at.as_ref()),
        "request_id": event.request_id,
        "trace_id": event.trace_id,
        "event_id": event.event_id,
    })
}

pub(crate) fn events_table(events: &[JobEvent]) -> Table {
    let mut table = Table::new(["seq", "when", "state", "attempt", "by", "worker", "detail"]);
    for event in events {
        table.row([
            event.seq.to_string(),
            time(event.occurred_at.as_ref()),
            state_name(event.to_state),
            event.attempt.to_string(),
            event.actor_id.clone(),
            event.worker_id.clone(),
            event.detail.clone(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_job_has_not_is_left_out() {
        let job =
            Job { job_id: "j".into(), state: JobState::Queued.into(), tier: RiskTier::A.into(), ..Job::default() };
        let json = job_json(&job);
        assert_eq!(json["state"], "queued");
        assert_eq!(json["tier"], "A");
        assert!(json.get("result").is_none() && json.get("finished_at").is_none());
    }

    #[test]
    fn payloads_are_text_where_they_are_text() {
        let text = Payload { data: b"{}".to_vec().into(), content_type: "application/json".into() };
        assert_eq!(payload_json(&text)["text"], "{}");
        let bytes = Payload { data: vec![0xff].into(), content_type: "application/octet-stream".into() };
        assert_eq!(payload_json(&bytes)["base64"], "/w==");
    }
}
