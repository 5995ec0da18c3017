//! What is done to a lease by its id.

use holdfast_client::{Client, locks_pb::LeaseRef};
use serde_json::json;

use crate::{
    output::{Format, Table, print},
    present::{self, locks},
};

#[derive(Debug, clap::Args)]
struct Leased {
    lease_id: String,
    /// Tenant; needed only where the token names several.
    #[arg(long, default_value = "", hide_default_value = true)]
    tenant: String,
}

impl From<Leased> for LeaseRef {
    fn from(leased: Leased) -> Self {
        Self { tenant_id: leased.tenant, lease_id: leased.lease_id }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct RenewArgs {
    #[command(flatten)]
    leased: Leased,
    /// Which renewal this is, from 1: said again, it is not counted again.
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "NUMBER")]
    number: u32,
}

impl RenewArgs {
    pub(crate) async fn run(self, client: &Client, format: Format) -> anyhow::Result<()> {
        let renewed = client.locks().renew(&self.leased.into(), self.number).await?;
        let (expires_at, stale_at) =
            (present::time(renewed.expires_at.as_ref()), present::time(renewed.stale_at.as_ref()));
        let (renewals, renewals_max) = (renewed.renewals, renewed.renewals_max);
        let document = json!({
            "expires_at": expires_at,
            "stale_at": stale_at,
            "renewals": renewals,
            "renewals_max": renewals_max,
        });
        print(format, &document, || {
            let mut table = Table::fields();
            table.field("expires", expires_at);
            table.field("others may have it from", stale_at);
            table.field("renewals", format!("{renewals} of {renewals_max}"));
            table
        })
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReleaseArgs {
    #[command(flatten)]
    leased: Leased,
}

impl ReleaseArgs {
    pub(crate) async fn run(self, client: &Client, format: Format) -> anyhow::Result<()> {
        let released = client.locks().release(&self.leased.into()).await?;
        print(format, &locks::released_json(&released), || locks::released_table(&released))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ForceArgs {
    #[command(flatten)]
    leased: Leased,
    /// Why: kept with the lock's history.
    #[arg(long)]
    reason: String,
}

impl ForceArgs {
    pub(crate) async fn run(self, client: &Client, format: Format) -> anyhow::Result<()> {
        let released = client.locks().force_release(&self.leased.into(), &self.reason).await?;
        print(format, &locks::released_json(&released), || locks::released_table(&released))
    }
}
