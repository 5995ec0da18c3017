//! The ports of the stack, each with a flag and an environment variable, looked at before anything is started.

use std::net::{Ipv4Addr, TcpListener};

use crate::exit::UsageError;

#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Ports (on 127.0.0.1)")]
pub(crate) struct Ports {
    #[arg(long = "postgres-port", env = "HOLDFAST_POSTGRES_PORT", default_value_t = 15432, value_name = "PORT")]
    pub(crate) postgres: u16,
    /// PgBouncer, where this machine has one.
    #[arg(long = "pgbouncer-port", env = "HOLDFAST_PGBOUNCER_PORT", default_value_t = 16432, value_name = "PORT")]
    pub(crate) pgbouncer: u16,
    #[arg(long = "redis-port", env = "HOLDFAST_REDIS_PORT", default_value_t = 16379, value_name = "PORT")]
    pub(crate) redis: u16,
    /// gRPC of the jobs service.
    #[arg(long = "jobs-port", env = "HOLDFAST_JOBS_PORT", default_value_t = 7100, value_name = "PORT")]
    pub(crate) jobs: u16,
    /// Health and metrics of the jobs service.
    #[arg(long = "jobs-http-port", env = "HOLDFAST_JOBS_HTTP_PORT", default_value_t = 7180, value_name = "PORT")]
    pub(crate) jobs_http: u16,
    /// gRPC of the locks service.
    #[arg(long = "locks-port", env = "HOLDFAST_LOCKS_PORT", default_value_t = 7101, value_name = "PORT")]
    pub(crate) locks: u16,
    /// Health and metrics of the locks service.
    #[arg(long = "locks-http-port", env = "HOLDFAST_LOCKS_HTTP_PORT", default_value_t = 7182, value_name = "PORT")]
    pub(crate) locks_http: u16,
    /// Health and metrics of the relay.
    #[arg(long = "relay-http-port", env = "HOLDFAST_RELAY_HTTP_PORT", default_value_t = 7181, value_name = "PORT")]
    pub(crate) relay_http: u16,
}

impl Ports {
    fn named(&self) -> [(&'static str, &'static str, u16); 8] {
        [
            ("PostgreSQL", "postgres", self.postgres),
            ("PgBouncer", "pgbouncer", self.pgbouncer),
            ("Redis", "redis", self.redis),
            ("jobs gRPC", "jobs", self.jobs),
            ("jobs HTTP", "jobs-http", self.jobs_http),
            ("locks gRPC", "locks", self.locks),
            ("locks HTTP", "locks-http", self.locks_http),
            ("relay HTTP", "relay-http", self.relay_http),
        ]
    }

    /// Refuses a port that is given twice or that something else listens on.
    pub(crate) fn check_free(&self) -> Result<(), UsageError> {
        let named = self.named();
        for (place, (what, flag, port)) in named.iter().enumerate() {
            let variable = format!("HOLDFAST_{}_PORT", flag.replace('-', "_").to_uppercase());
            let instead = format!("choose another with --{flag}-port or {variable}");
            if let Some((twin, ..)) = named[..place].iter().find(|(.., other)| other == port) {
                return Err(UsageError(format!("port {port} is given to both {twin} and {what}; {instead}")));
            }
            if let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, *port)) {
                return Err(UsageError(format!("port {port} ({what}) cannot be used: {error}; {instead}")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_refused_by_name() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let redis = taken.local_addr().unwrap().port();
        let ports =
            Ports { postgres: 0, pgbouncer: 4, redis, jobs: 1, jobs_http: 2, locks: 5, locks_http: 6, relay_http: 3 };
        let refusal = ports.check_free().unwrap_err().to_string();
        assert!(refusal.contains("(Redis)") && refusal.contains("HOLDFAST_REDIS_PORT"), "{refusal}");
    }
}
