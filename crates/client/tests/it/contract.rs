//! Whatever this crate sends can be sent again: each method of the contract is a read, is made under a key or a token, or
//! is not among the crate's calls.

use std::collections::BTreeMap;

use holdfast_proto::FILE_DESCRIPTOR_SET;
use prost_reflect::{DescriptorPool, MethodDescriptor};

#[derive(Debug, PartialEq, Eq)]
enum Repeated {
    /// Changes nothing.
    Read,
    /// The same key finds the first change.
    UnderKey,
    /// Nobody is granted twice; one whose answer was lost waits for its own lease.
    Reservation,
    /// A completion names the grant that it completes.
    UnderToken,
    /// The version that it is asked for under finds the first change.
    UnderVersion,
    /// Not a call of this crate: sessions repeat answers under their leases.
    NotCalled,
}

const METHODS: &[(&str, Repeated)] = &[
    ("SubmitJob", Repeated::UnderKey),
    ("BatchSubmitJobs", Repeated::UnderKey),
    ("GetJob", Repeated::Read),
    ("ListJobs", Repeated::Read),
    ("CancelJob", Repeated::UnderKey),
    ("ListJobEvents", Repeated::Read),
    ("DecideJob", Repeated::UnderKey),
    ("ListApprovals", Repeated::Read),
    ("ResubmitJob", Repeated::UnderKey),
    ("WatchJobs", Repeated::Read),
    ("GetProject", Repeated::Read),
    ("UpdateProject", Repeated::UnderVersion),
    ("ListProjects", Repeated::Read),
    ("RecordUsage", Repeated::UnderKey),
    ("GetBudget", Repeated::Read),
    ("ReserveKey", Repeated::Reservation),
    ("CompleteKey", Repeated::UnderToken),
    ("GetKey", Repeated::Read),
    ("Work", Repeated::NotCalled),
    ("LeaseJobs", Repeated::NotCalled),
    ("ExtendLeases", Repeated::NotCalled),
    ("CompleteJob", Repeated::NotCalled),
    ("FailJob", Repeated::NotCalled),
];

#[test]
fn every_method_that_is_called_can_be_called_again() {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let services = pool.services().filter(|service| service.package_name() == "holdfast.jobs.v1");
    let methods: Vec<MethodDescriptor> = services.flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    let mut known: BTreeMap<&str, &Repeated> = METHODS.iter().map(|(name, repeated)| (*name, repeated)).collect();
    for method in methods {
        let repeated = known.remove(method.name());
        let repeated = repeated.unwrap_or_else(|| panic!("{} is not in the table", method.full_name()));
        let has = |field: &str| {
            let request = method.input();
            let items = ["jobs", "usages"].into_iter().find_map(|name| request.get_field_by_name(name));
            let items = items.and_then(|jobs| jobs.kind().as_message().cloned());
            items.unwrap_or(request).get_field_by_name(field).is_some()
        };
        assert_eq!(has("idempotency_key"), *repeated == Repeated::UnderKey, "{}", method.name());
        assert_eq!(has("expected_version"), *repeated == Repeated::UnderVersion, "{}", method.name());
        assert_eq!(has("token"), *repeated == Repeated::UnderToken, "{}", method.name());
        assert!(*repeated == Repeated::NotCalled || !method.is_client_streaming(), "{}", method.name());
    }
    assert!(known.is_empty(), "gone from the contract: {known:?}");
}
