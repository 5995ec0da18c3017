//! Whatever this crate sends can be sent again: each method of the contracts is a read, is made under a key, a token or a
//! lease, or is not among the crate's calls.

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
    /// Says of a lease what can be said twice: the number of a renewal, or that it ends.
    OfLease,
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
    ("AcquireLock", Repeated::UnderKey),
    ("AcquireLocks", Repeated::UnderKey),
    ("RenewLock", Repeated::OfLease),
    ("ReleaseLock", Repeated::OfLease),
    // Guards renew by RenewLock.
    ("HoldLock", Repeated::NotCalled),
    ("GetLock", Repeated::Read),
    ("ListLocks", Repeated::Read),
    ("WatchLock", Repeated::Read),
    // Of a stale token at most one event a second.
    ("CheckFence", Repeated::Read),
    ("ForceReleaseLock", Repeated::OfLease),
    ("ListLockClasses", Repeated::Read),
];

#[test]
fn every_method_that_is_called_can_be_called_again() {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let packages = ["holdfast.jobs.v1", "holdfast.locks.v1"];
    let services = pool.services().filter(|service| packages.contains(&service.package_name()));
    let methods: Vec<MethodDescriptor> = services.flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    let mut known: BTreeMap<&str, &Repeated> = METHODS.iter().map(|(name, repeated)| (*name, repeated)).collect();
    for method in methods {
        let repeated = known.remove(method.name());
        let repeated = repeated.unwrap_or_else(|| panic!("{} is not in the table", method.full_name()));
        let has = |field: &str| {
            let request = method.input();
            let items = ["jobs", "usages", "terms"].into_iter().find_map(|name| request.get_field_by_name(name));
            let items = items.and_then(|jobs| jobs.kind().as_message().cloned());
            items.unwrap_or(request).get_field_by_name(field).is_some()
        };
        assert_eq!(has("idempotency_key"), *repeated == Repeated::UnderKey, "{}", method.name());
        assert_eq!(has("expected_version"), *repeated == Repeated::UnderVersion, "{}", method.name());
        assert_eq!(has("token"), *repeated == Repeated::UnderToken, "{}", method.name());
        assert!(*repeated != Repeated::OfLease || has("lease"), "{}", method.name());
        assert!(*repeated == Repeated::NotCalled || !method.is_client_streaming(), "{}", method.name());
    }
    assert!(known.is_empty(), "gone from the contract: {known:?}");
}
