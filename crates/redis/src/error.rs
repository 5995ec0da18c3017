use fred::error::{Error, ErrorKind};
use holdfast_fault::Fault;

use crate::keys::KeysError;

/// First words of the answers of a server that cannot serve now.
const STATES: [&str; 10] = [
    "LOADING",
    "READONLY",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "BUSY",
    "OOM",
    "MISCONF",
    // Fewer replicas than it needs to write.
    "NOREPLICAS",
    // It became a replica while a command waited.
    "UNBLOCKED",
];
/// What the library says, under no kind of its own, where a connection has just gone.
const BROKEN: [&str; 4] = [
    "Failed to route command.",
    "Too many failed write attempts.",
    "Missing expected connection.",
    "Missing response.",
];

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
            _ if STATES.contains(&first_word(error.details())) || BROKEN.contains(&error.details()) => {
                Self::Unavailable(error)
            }
            _ => Self::Refused(error),
        }
    }
}

fn first_word(details: &str) -> &str {
    details.split_whitespace().next().unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_from_a_refusal() {
        let unavailable = |kind, details: &'static str| RedisError::from(Error::new(kind, details)).is_unavailable();
        for details in BROKEN.into_iter().chain([
            "LOADING Redis is loading the dataset in memory",
            "BUSY Redis is busy",
            "NOREPLICAS Not enough good replicas to write.",
            "UNBLOCKED force unblock from blocking operation",
        ]) {
            assert!(unavailable(ErrorKind::Unknown, details), "{details}");
        }
        assert!(unavailable(ErrorKind::IO, "connection reset"));
        for details in ["ERR unknown command", "BUSYGROUP Consumer Group name already exists", "No response!"] {
            assert!(!unavailable(ErrorKind::Unknown, details), "{details}");
        }
        assert!(!unavailable(ErrorKind::InvalidArgument, "WRONGTYPE Operation against a key"));
    }
}
