//! What the tests are written with. Tests that share a stack keep apart by tenants of their own.

mod api;
pub mod raw;
mod requests;
pub mod rows;
mod session;
mod watch;
mod world;

use std::fmt::Debug;
use std::future::Future;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::Result;
pub use holdfast_fault::Reason;
use holdfast_fault::{Fault, Received};
pub use holdfast_proto::jobs::v1 as pb;
pub use holdfast_testkit::eventually;
use tokio::runtime::Runtime;
use tonic::Status;

pub use api::Api;
pub use requests::*;
pub use session::WorkSession;
pub use watch::{Watch, watch_job, watch_project};
pub use world::{Instance, Settings, World, tenant};

/// Longer than anything that a test waits for.
pub const SOON: Duration = Duration::from_secs(60);

/// One for all tests: connections of the shared stack outlive the test that opened them.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime starts"));

/// Runs a test on the shared runtime.
pub fn run(test: impl Future<Output = Result<()>>) -> Result<()> {
    const WITHIN: Duration = Duration::from_secs(300);
    RUNTIME.block_on(async { tokio::time::timeout(WITHIN, test).await? })
}

pub fn at(timestamp: Option<prost_types::Timestamp>) -> chrono::DateTime<chrono::Utc> {
    let timestamp = timestamp.expect("the time is there");
    chrono::DateTime::from_timestamp(timestamp.seconds, timestamp.nanos as u32).expect("a time")
}

/// The details of a refusal, which must be for this reason and as every refusal is.
#[track_caller]
pub fn refused<T: Debug>(outcome: Result<T, Status>, reason: Reason) -> Received {
    let status = outcome.expect_err(&format!("this must be refused with {reason:?}"));
    let received = Received::from_status(&status);
    assert_eq!(received.reason, Some(reason), "{status:?}");
    assert_eq!(status.code(), Fault::new(reason, "").code(), "the code is not the catalogue's: {status:?}");
    assert!(received.request_id.is_some(), "no RequestInfo: {status:?}");
    assert_eq!(
        received.retry_after.is_some(),
        received.retryable(),
        "RetryInfo is there if and only if it helps: {status:?}"
    );
    received
}

/// As [`refused`], for one item of a batch.
#[track_caller]
pub fn refused_item(status: &tonic_types::Status, reason: Reason) -> Received {
    let received = Received::from_rpc(status);
    assert_eq!(received.reason, Some(reason), "{status:?}");
    assert_eq!(received.code, Fault::new(reason, "").code(), "the code is not the catalogue's: {status:?}");
    received
}

/// The fields that a refusal names.
pub fn fields(received: &Received) -> Vec<&str> {
    received.violations.iter().map(|violation| violation.field.as_str()).collect()
}
