//! Who may call what. Every method of this service's contracts has an entry; one that has none is refused, and the service
//! does not start. Beyond this, a caller is held to its tenants, projects, intents and tier where the call names them.

use holdfast_caller::{Kind, Role};
use holdfast_runtime::Access;

use Kind::{Agent, Service, User, Worker};
use Role::{Admin, InfraApprover, Owner, ProjectMaintainer, Viewer};

/// Whoever may look at a project.
const READERS: &[Role] = &[Owner, Admin, ProjectMaintainer, InfraApprover, Viewer];
/// Whoever may submit work to a project, and call it off.
const SUBMITTERS: &[Role] = &[Owner, Admin, ProjectMaintainer, InfraApprover];

const fn read(method: &'static str) -> Access {
    Access::new(method, &[User, Agent, Service], READERS)
}

const fn submit(method: &'static str) -> Access {
    Access::new(method, &[User, Agent, Service], SUBMITTERS)
}

/// People, and services that act for them. Which of the roles decides about which job is the use case's to say.
const fn decide(method: &'static str) -> Access {
    Access::new(method, &[User], SUBMITTERS)
}

/// What a project may do: whether it takes an owner is the use case's to say.
const fn settle(method: &'static str) -> Access {
    Access::new(method, &[User], &[Owner, Admin])
}

const fn work(method: &'static str) -> Access {
    Access::new(method, &[Worker], &[])
}

const fn ledger(method: &'static str) -> Access {
    Access::new(method, &[Service, Agent], &[])
}

/// Those who do the work or have it done, of which people do neither by themselves.
const fn report(method: &'static str) -> Access {
    Access::new(method, &[Worker, Agent, Service], &[])
}

pub const ACCESS: &[Access] = &[
    submit("/holdfast.jobs.v1.JobService/SubmitJob"),
    submit("/holdfast.jobs.v1.JobService/BatchSubmitJobs"),
    read("/holdfast.jobs.v1.JobService/GetJob"),
    read("/holdfast.jobs.v1.JobService/ListJobs"),
    submit("/holdfast.jobs.v1.JobService/CancelJob"),
    read("/holdfast.jobs.v1.JobService/ListJobEvents"),
    decide("/holdfast.jobs.v1.JobService/DecideJob"),
    read("/holdfast.jobs.v1.JobService/ListApprovals"),
    submit("/holdfast.jobs.v1.JobService/ResubmitJob"),
    read("/holdfast.jobs.v1.JobService/WatchJobs"),
    read("/holdfast.jobs.v1.ProjectService/GetProject"),
    settle("/holdfast.jobs.v1.ProjectService/UpdateProject"),
    read("/holdfast.jobs.v1.ProjectService/ListProjects"),
    work("/holdfast.jobs.v1.WorkerService/Work"),
    work("/holdfast.jobs.v1.WorkerService/LeaseJobs"),
    work("/holdfast.jobs.v1.WorkerService/ExtendLeases"),
    work("/holdfast.jobs.v1.WorkerService/CompleteJob"),
    work("/holdfast.jobs.v1.WorkerService/FailJob"),
    report("/holdfast.jobs.v1.UsageService/RecordUsage"),
    read("/holdfast.jobs.v1.UsageService/GetBudget"),
    ledger("/holdfast.jobs.v1.IdempotencyService/ReserveKey"),
    ledger("/holdfast.jobs.v1.IdempotencyService/CompleteKey"),
    ledger("/holdfast.jobs.v1.IdempotencyService/GetKey"),
];
