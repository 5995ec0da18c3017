//! Who may call what. Every method of this service's contracts has an entry; one that has none is refused, and the service does not start. Beyond this, a
//! caller is held to its tenants and projects where the call names them, and to its own leases.

use holdfast_caller::{Kind, Role};
use holdfast_runtime::Access;

use crate::domain::lease::WAIT_MAX;

use Kind::{Agent, Service, User, Worker};
use Role::{Admin, InfraApprover, Owner, ProjectMaintainer, Viewer};

/// Whoever may look at a project.
const READERS: &[Role] = &[Owner, Admin, ProjectMaintainer, InfraApprover, Viewer];
/// Whoever may work in a project, and so take what its work needs.
const HOLDERS: &[Role] = &[Owner, Admin, ProjectMaintainer, InfraApprover];

const fn hold(method: &'static str) -> Access {
    Access::new(method, &[User, Agent, Service, Worker], HOLDERS)
}

/// As [`hold`], for what may not be free at once.
const fn wait(method: &'static str) -> Access {
    Access { waits: WAIT_MAX, ..hold(method) }
}

const fn read(method: &'static str) -> Access {
    Access::new(method, &[User, Agent, Service, Worker], READERS)
}

/// People alone: it takes from somebody what he relies on.
const fn force(method: &'static str) -> Access {
    Access::new(method, &[User], &[Owner, InfraApprover])
}

pub const ACCESS: &[Access] = &[
    wait("/holdfast.locks.v1.LockService/AcquireLock"),
    wait("/holdfast.locks.v1.LockService/AcquireLocks"),
    hold("/holdfast.locks.v1.LockService/RenewLock"),
    hold("/holdfast.locks.v1.LockService/ReleaseLock"),
    hold("/holdfast.locks.v1.LockService/HoldLock"),
    read("/holdfast.locks.v1.LockService/GetLock"),
    read("/holdfast.locks.v1.LockService/ListLocks"),
    read("/holdfast.locks.v1.LockService/WatchLock"),
    read("/holdfast.locks.v1.LockService/CheckFence"),
    force("/holdfast.locks.v1.LockService/ForceReleaseLock"),
    read("/holdfast.locks.v1.LockClassService/ListLockClasses"),
];
