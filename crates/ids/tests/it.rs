use holdfast_ids::{
    ActorId, IdError, IdempotencyKey, Intent, JobId, LeaseId, ProjectId, RequestId, TenantId, WorkerId,
};
use proptest::prelude::*;

#[test]
fn lengths_are_bounded_on_both_sides() {
    assert_eq!(TenantId::parse(""), Err(IdError::Empty { what: "tenant id" }));
    assert!(TenantId::parse(&"a".repeat(64)).is_ok());
    assert_eq!(TenantId::parse(&"a".repeat(65)), Err(IdError::TooLong { what: "tenant id", chars_max: 64 }));
    assert!(Intent::parse(&"i".repeat(128)).is_ok());
    assert!(Intent::parse(&"i".repeat(129)).is_err());
    assert!(IdempotencyKey::parse(&"k".repeat(256)).is_ok());
    assert!(IdempotencyKey::parse(&"k".repeat(257)).is_err());
}

#[test]
fn alphabets_hold() {
    for good in ["acme", "0", "a-b_c.d", "7eleven"] {
        assert!(
            TenantId::parse(good).is_ok() && ProjectId::parse(good).is_ok() && Intent::parse(good).is_ok(),
            "{good}"
        );
    }
    for bad in [".a", "-a", "_a", "Acme", "a,b", "a b", "a/b", "ä", "a\0", "a'"] {
        assert!(
            TenantId::parse(bad).is_err() && ProjectId::parse(bad).is_err() && Intent::parse(bad).is_err(),
            "{bad}"
        );
    }
    assert!(WorkerId::parse("Host-1.example/worker:7_a").is_ok());
    assert!(WorkerId::parse("/worker").is_err());
    assert!(ActorId::parse("user:Jane.Doe@example.com|7").is_ok());
    assert!(ActorId::parse("jane doe").is_err());
    assert!(IdempotencyKey::parse("!~").is_ok());
    assert!(IdempotencyKey::parse("a\u{7f}").is_err());
}

#[test]
fn a_job_id_is_version_7() {
    let job = JobId::new();
    assert_eq!(JobId::parse(&job.to_string()), Ok(job));
    assert_eq!(JobId::parse("2f1c9f5e-7c55-4c8e-9a8e-0d2b6d1f0c11"), Err(IdError::NotVersion7 { what: "job id" }));
    assert_eq!(JobId::parse("nonsense"), Err(IdError::NotUuid { what: "job id" }));
    assert!(LeaseId::parse("2f1c9f5e-7c55-4c8e-9a8e-0d2b6d1f0c11").is_ok());
}

#[test]
fn ids_are_ordered_by_their_making() {
    let made: Vec<JobId> = (0..1000).map(|_| JobId::new()).collect();
    assert!(made.is_sorted());
}

#[test]
fn a_malformed_request_id_is_replaced() {
    assert_eq!(RequestId::received_or_new(Some("abc")).as_str(), "abc");
    for bad in [None, Some(""), Some("a b"), Some("a\nb")] {
        assert_eq!(RequestId::received_or_new(bad).as_str().len(), 36);
    }
    assert_eq!(RequestId::received_or_new(Some(&"x".repeat(129))).as_str().len(), 36);
}

#[test]
fn json_goes_through_the_same_check() {
    let tenant: TenantId = serde_json::from_str("\"acme\"").unwrap();
    assert_eq!(serde_json::to_string(&tenant).unwrap(), "\"acme\"");
    assert!(serde_json::from_str::<TenantId>("\"Acme Inc\"").is_err());
}

proptest! {
    #[test]
    fn what_parses_reads_back_unchanged(text in "\\PC{0,80}") {
        if let Ok(tenant) = TenantId::parse(&text) {
            prop_assert_eq!(tenant.as_str(), text.as_str());
            prop_assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b)));
        }
    }
}
