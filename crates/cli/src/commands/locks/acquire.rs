use std::time::Duration;

use holdfast_client::{Client, IdempotencyKey};

use super::{Place, owner_of_its_own};
use crate::{
    output::{Format, print},
    present::locks,
};

/// Acquire one lock or several, all or none.
///
/// The lease is nobody's to renew but the caller's: it runs out after its time to live unless `holdfast locks renew` extends it.
/// `holdfast locks run` holds a lock for as long as a command runs. Ends with 5 where the lock was not free in time.
#[derive(Debug, clap::Args)]
pub(crate) struct AcquireArgs {
    /// What is locked; several are taken in the order of the registry.
    #[arg(required = true)]
    keys: Vec<String>,
    #[command(flatten)]
    place: Place,
    /// Who will hold it: a label under which locks are taken in one order [default: a new one].
    #[arg(long)]
    owner: Option<String>,
    /// How long to wait for it, in seconds.
    #[arg(long, default_value_t = 0, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=3600))]
    wait: u64,
    /// How long it holds without being renewed, in seconds [default: the service's].
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u64>,
    /// Idempotency key: repeated under it, the answer is the same lease for as long as it holds [default: a new one].
    #[arg(long = "key", value_name = "KEY")]
    idempotency_key: Option<IdempotencyKey>,
}

impl AcquireArgs {
    pub(crate) async fn run(self, client: &Client, format: Format) -> anyhow::Result<()> {
        let client = client.locks();
        let mut acquire = match self.keys.as_slice() {
            [key] => client.acquire(self.place.resource(key)),
            keys => client.acquire_all(keys.iter().map(|key| self.place.resource(key))),
        };
        acquire = acquire.tenant(&self.place.tenant).wait(Duration::from_secs(self.wait));
        acquire = acquire.owner(self.owner.unwrap_or_else(owner_of_its_own));
        if let Some(ttl) = self.ttl {
            acquire = acquire.ttl(Duration::from_secs(ttl));
        }
        if let Some(key) = self.idempotency_key {
            acquire = acquire.key(key);
        }
        let granted = acquire.unguarded().await?;
        print(format, &locks::granted_json(&granted), || locks::granted_table(&granted))
    }
}
