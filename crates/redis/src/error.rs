use fred::error::{Error, ErrorKind};
use holdfast_fault::Fault;

use crate::keys::KeysError;

/// How a call to Redis fails. Whether a command that failed took effect is unknown.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RedisError {
    /// Not reachable, no answer in time, or not able to serve now (loading, read-only, cluster down): worth a retry.
    #[error("redis is away: {0}")]
    Unavailable(#[source] Error),
    /// Redis answered, with an error or with something unexpected: a retry would end the same way.
    #[error("redis refused: {0}")]
    Refused(#[source] Error),
    /// The configuration names no server.
    #[error("redis.{field}: {message}")]
    Config { field: &'static str, message: String },
}

impl RedisError {
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// For a well-formed answer that the caller cannot make sense of.
    pub fn unexpected(what: &'static str) -> Self {
        Self::Refused(Error::new(ErrorKind::Protocol, what))
    }
}

impl From<Error> for RedisError {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::IO
            | ErrorKind::Timeout
            | ErrorKind::Canceled
            | ErrorKind::Routing
            | ErrorKind::Cluster
            | ErrorKind::Sentinel
            | ErrorKind::Tls
            | ErrorKind::Auth
            | ErrorKind::Backpressure => Self::Unavailable(error),
            _ if ["LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "OOM", "MISCONF"]
                .iter()
                .any(|state| error.details().starts_with(state)) =>
            {
                Self::Unavailable(error)
            }
            _ => Self::Refused(error),
        }
    }
}

impl From<KeysError> for RedisError {
    fn from(error: KeysError) -> Self {
        Self::Config { field: "prefix", message: error.to_string() }
    }
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        match error {
            RedisError::Unavailable(_) => Fault::dependency_down("redis", error),
            RedisError::Refused(_) | RedisError::Config { .. } => Fault::unexpected(error),
        }
    }
}
