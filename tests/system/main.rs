//! Faults under load, against the services' own binaries as processes of their own. `make test-system` runs them one
//! after the other; see `holdfast_system_tests::proof` for their terms.
#![forbid(unsafe_code)]

mod dags;
mod fairness;
mod idempotency;
mod load;
mod locks_failover;
mod locks_linear;
mod locks_many;
mod locks_order;
mod locks_register;
mod locks_restore;
mod locks_trouble;
mod postgres_failover;
mod postgres_restart;
mod redis_failover;
mod redis_loss;
mod relays;
mod tenants;
mod trouble;
mod watches;
mod workers;
