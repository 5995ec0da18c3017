use holdfast_pg::DbError;
use holdfast_redis::RedisError;

/// Why a round or a synchronisation stopped. Nothing is lost by it: what was not marked published is looked at again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RelayError {
    #[error("postgres: {0}")]
    Database(#[from] DbError),
    #[error(transparent)]
    Redis(#[from] RedisError),
}

impl RelayError {
    pub fn component(&self) -> &'static str {
        match self {
            Self::Database(_) => "postgres",
            Self::Redis(_) => "redis",
        }
    }
}
