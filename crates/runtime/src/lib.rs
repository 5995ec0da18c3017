//! What every service process is made of, apart from its business.
//!
//! * [`load_config`]: a file below environment variables and secret files, checked at start, refused by the key's name.
//! * [`Server`]: gRPC with everything that surrounds a call: ids, identity, access, deadline, error details, metrics.
//!   A call reaches its method only with a [`RequestContext`]; what leaves is a catalogued error or an answer.
//! * [`Health`] and [`HttpServer`]: liveness, readiness, start-up and metrics over HTTP, gRPC health in step.
//! * [`tasks`]: background loops under leadership.
//! * [`field`]: fields of messages, checked and named by their paths; [`page`]: how large an answer may be.
//! * [`Shutdown`]: one signal that all of them follow.
//!
//! A process without a gRPC business uses the others and leaves [`Server`] out. Nothing here is fatal after the start:
//! a panic in a call is that call's INTERNAL_500, a failed task runs again, a lost dependency is a readiness that says so.
#![forbid(unsafe_code)]

mod access;
mod config;
mod context;
mod edge;
pub mod field;
mod health;
mod methods;
pub mod page;
mod server;
mod shutdown;
pub mod tasks;

pub use access::Access;
pub use config::{AuthConfig, ConfigError, GrpcConfig, HttpConfig, TlsConfig, load_config};
pub use context::{HalfClose, RequestContext};
pub use health::{Dependency, Health, HttpServer, Need, State};
pub use methods::AccessError;
pub use server::{Server, ServerError};
pub use shutdown::Shutdown;

/// The largest message that is decoded: 1 MiB of request and a little for its envelope. Every generated server is built
/// with `max_decoding_message_size(REQUEST_BYTES_MAX)`; what is larger is answered REQ_400_INVALID_SCHEMA.
pub const REQUEST_BYTES_MAX: usize = 1024 * 1024 + 4096;
