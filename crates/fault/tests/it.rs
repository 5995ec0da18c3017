use std::{collections::BTreeSet, error::Error as _, io, path::Path, time::Duration};

use holdfast_fault::{Fault, Reason, Received, Violation, attach_request, has_reason, reason_by_wire_name, traits};
use holdfast_ids::TenantId;
use holdfast_proto::errors::catalogue::CATALOGUE;

#[test]
fn details_survive_the_round_trip() {
    let fault = Fault::new(Reason::Job503QueueUnavailable, "the queue is full")
        .retry_after(Duration::from_millis(2500))
        .with("project_id", "alpha")
        .caused_by(io::Error::other("secret detail"));
    let status = attach_request(tonic::Status::from(fault), "req-1", "4bf92f3577b34da6a3ce929d0e0e4736");
    let received = Received::from_status(&status);

    assert_eq!(received.code, tonic::Code::Unavailable);
    assert_eq!(received.reason, Some(Reason::Job503QueueUnavailable));
    assert_eq!(received.message, "the queue is full");
    assert_eq!(received.retry_after, Some(Duration::from_millis(2500)));
    assert_eq!(received.metadata["project_id"], "alpha");
    assert_eq!(received.request_id.as_deref(), Some("req-1"));
    assert_eq!(received.trace_id.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    assert!(received.retryable());
    assert!(!String::from_utf8_lossy(status.details()).contains("secret"));
}

#[test]
fn an_item_of_a_batch_says_the_same_as_a_call() {
    let fault = Fault::invalid_many(vec![
        Violation::new("priority", "must be 0 to 9"),
        Violation::new("tier", "is unspecified"),
    ])
    .under("jobs[3].");
    let item = Received::from_rpc(&fault.to_rpc_status());
    let call = Received::from_status(&tonic::Status::from(fault));

    assert_eq!(item.violations, call.violations);
    assert_eq!(item.violations[0], Violation::new("jobs[3].priority", "must be 0 to 9"));
    assert_eq!(item.message, "jobs[3].priority: must be 0 to 9; jobs[3].tier: is unspecified");
    assert_eq!((item.code, item.reason), (tonic::Code::InvalidArgument, Some(Reason::Req400InvalidSchema)));
    assert!(!item.retryable());
    assert_eq!(item.retry_after, None);
}

#[test]
fn a_retryable_fault_always_names_a_delay() {
    for &(reason, name, code, retryable) in CATALOGUE {
        let received = Received::from_status(&Fault::new(reason, "x").into());
        assert_eq!(received.reason, Some(reason), "{name}");
        assert_eq!(received.code as i32, code, "{name}");
        assert_eq!(received.retry_after.is_some(), retryable, "{name}");
        assert_eq!(received.name(), name);
        assert_eq!(reason_by_wire_name(name), Some(reason));
    }
}

#[test]
fn an_unspecified_reason_leaves_as_a_defect() {
    assert_eq!(traits(Reason::Unspecified).wire_name, "INTERNAL_500_UNEXPECTED");
    assert_eq!(Fault::new(Reason::Unspecified, "x").code(), tonic::Code::Internal);
}

#[test]
fn a_defect_keeps_its_cause_inside() {
    let fault = Fault::unexpected(io::Error::other("the disk is on fire"));
    assert_eq!(fault.message, "unexpected error");
    assert_eq!(fault.causes().as_deref(), Some("the disk is on fire"));
    let status = tonic::Status::from(fault);
    assert_eq!(status.message(), "unexpected error");
    let source = status.source().and_then(|source| source.downcast_ref::<Fault>());
    assert!(source.is_some_and(|fault| fault.causes().is_some()));
}

#[test]
fn an_empty_identifier_is_missing_and_a_bad_one_invalid() {
    let missing = Fault::malformed("tenant_id", TenantId::parse("").unwrap_err());
    assert_eq!(missing.reason, Reason::Req400MissingField);
    let invalid = Fault::malformed("tenant_id", TenantId::parse("A B").unwrap_err());
    assert_eq!(invalid.reason, Reason::Req400InvalidSchema);
    assert!(!invalid.message.contains("A B"), "what the client sent is not echoed");
}

#[test]
fn a_transport_status_has_no_reason() {
    let status = tonic::Status::unimplemented("no such method");
    assert!(!has_reason(&status));
    let status = attach_request(status, "r", "t");
    assert!(!has_reason(&status));
    let received = Received::from_status(&status);
    assert_eq!((received.reason, received.code), (None, tonic::Code::Unimplemented));
    assert_eq!(received.request_id.as_deref(), Some("r"));
    assert!(has_reason(&Fault::missing("job_id").into()));
}

#[test]
fn garbage_in_details_is_no_reason() {
    let status = tonic::Status::with_details(tonic::Code::Internal, "m", vec![0xff; 9].into());
    assert_eq!(Received::from_status(&status).reason, None);
}

#[test]
fn every_reason_has_its_help_page_and_every_page_its_reason() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    let found: BTreeSet<String> = std::fs::read_dir(&pages)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().is_some_and(|name| name != "README.md"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let expected: BTreeSet<String> = CATALOGUE.iter().map(|row| row.1.to_owned()).collect();
    assert_eq!(found, expected);
    for &(_, name, code, retryable) in CATALOGUE {
        let text = std::fs::read_to_string(pages.join(format!("{name}.md"))).unwrap();
        assert!(text.starts_with(&format!("# {name}\n")), "{name}: the title is the reason");
        let facts =
            format!("gRPC code {} · {}", code_name(code), if retryable { "retryable" } else { "not retryable" });
        assert!(text.contains(&facts), "{name}: the page says `{facts}`");
        for section in ["## What happened", "## What to do", "## Example"] {
            assert!(text.contains(section), "{name}: {section}");
        }
    }
}

/// The spelling of google.rpc.Code.
fn code_name(code: i32) -> &'static str {
    match code {
        3 => "INVALID_ARGUMENT",
        4 => "DEADLINE_EXCEEDED",
        5 => "NOT_FOUND",
        6 => "ALREADY_EXISTS",
        7 => "PERMISSION_DENIED",
        8 => "RESOURCE_EXHAUSTED",
        9 => "FAILED_PRECONDITION",
        10 => "ABORTED",
        11 => "OUT_OF_RANGE",
        13 => "INTERNAL",
        14 => "UNAVAILABLE",
        16 => "UNAUTHENTICATED",
        other => panic!("code {other} has no name here"),
    }
}
