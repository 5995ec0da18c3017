//! The Rust SDK of Holdfast: submit durable jobs, wait for them, and work on them.
//!
//! A [`Client`] is made once and cloned. [`Jobs`] submits and waits, [`Worker`] does the work, [`Usages`] records what it
//! has cost, [`Keys`] lets a program do something of its own once. Every call has a deadline; what the error catalogue
//! says can succeed later is sent again with back-off, under the same idempotency key, within the deadline and a budget of
//! retries. What comes back is typed: an [`Error`] has one [`ErrorKind`], the fields at fault, and says whether the outcome
//! is unknown.
//!
//! ```no_run
//! use holdfast_client::{AccessToken, Client, IdempotencyKey, JobExt as _, NewJob, Reason, json};
//!
//! # #[derive(serde::Serialize)] struct Order { number: u32 }
//! # #[derive(serde::Deserialize)] struct Invoice { total: u64 }
//! # async fn example(order: Order) -> Result<(), Box<dyn std::error::Error>> {
//! # use std::time::Duration;
//! let client = Client::builder("https://jobs.example:7100").token(AccessToken::from("...")).build()?;
//!
//! // The key is made from what the job is about: after a crash of this program it is the same.
//! let key = IdempotencyKey::from_content("invoice", [order.number.to_string()]);
//! let job = NewJob { priority: 5, ..NewJob::new("billing", "invoice.write", key, json(&order)?) };
//! match client.jobs().submit(job).await {
//!     Ok(submitted) => {
//!         let job = client.jobs().wait(&submitted.job_id, Duration::from_secs(300)).await?;
//!         println!("{}", job.result_json::<Invoice>()?.total);
//!     }
//!     Err(error) if error.is(Reason::Job409IdempotencyConflict) => println!("another order has this number"),
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A worker is an async function from a [`Job`] to a result:
//!
//! ```no_run
//! use holdfast_client::{CancellationToken, Client, Job, JobError, ModelUsage, TokenFile, Worker, WorkerSpec, json};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder("https://jobs.example:7100").token(TokenFile("/run/secrets/token".into())).build()?;
//! let stop = CancellationToken::new();
//! let worker = Worker::new(client, WorkerSpec { capacity: 8, ..WorkerSpec::new("billing-1", ["invoice.write"]) });
//! let write = |job: Job| async move {
//!     let order: u32 = job.payload_json()?;
//!     job.progress(50, "half of it");
//!     let used = ModelUsage { input_tokens: 900, output_tokens: 60, ..ModelUsage::of("acme", "large-3") };
//!     // An error where that exceeds a budget: the work ends here.
//!     job.record_usage("draft", used).await?;
//!     // Whoever this writes to is told job.fencing_token(), and refuses a lower one than it has seen.
//!     Ok::<_, JobError>(json(&order)?)
//! };
//! worker.run(write, &stop).await?;
//! # Ok(())
//! # }
//! ```
//!
//! It knows the contracts and nothing of any service: the generated messages are [`pb`].
#![forbid(unsafe_code)]

mod client;
mod error;
mod instances;
mod jobs;
mod key;
mod keys;
mod locks;
mod payload;
mod projects;
mod retry;
mod token;
mod usage;
mod wait;
mod watch;
mod worker;

pub use holdfast_proto::{jobs::v1 as pb, locks::v1 as locks_pb};
pub use tokio_util::sync::CancellationToken;
pub use tonic::{Code, transport::ClientTlsConfig};

pub use client::{CallContext, Client, ClientBuilder};
pub use error::{Details, Error, ErrorKind, FieldViolation, Reason};
pub use jobs::{Cancelled, Decided, JobFilter, Jobs, NewDecision, NewJob, Submitted};
pub use key::IdempotencyKey;
pub use keys::{Grant, KeyScope, Keys, Reservation};
pub use locks::{Acquire, Granted, LockFilter, LockGuard, LockLoss, Locks, Released, resource};
pub use locks_pb::{Lease, Lock, MirrorState, Resource};
pub use payload::{JobExt, PAYLOAD_BYTES_MAX, bytes, json, time};
pub use pb::{Classification, Decision, JobState, OnFailure, Payload, Queue, Residency, RiskTier};
pub use projects::Projects;
pub use retry::Retry;
pub use token::{AccessToken, BoxError, TokenFile, TokenSource, token_fn};
pub use usage::{BudgetExceeded, BudgetOf, ModelUsage, UsageError, Usages};
pub use worker::{Answer, Handler, Job, JobError, Worker, WorkerEvent, WorkerSpec};
