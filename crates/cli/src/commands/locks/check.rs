use holdfast_client::Client;
use serde_json::json;

use super::Named;
use crate::{
    exit::Exit,
    output::{Format, Table, print},
};

#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    named: Named,
    #[arg(long, value_name = "TOKEN")]
    fencing_token: u64,
}

impl CheckArgs {
    pub(crate) async fn run(self, client: &Client, format: Format) -> anyhow::Result<Exit> {
        let (tenant, resource) = (&self.named.place.tenant, self.named.resource());
        let checked = client.locks().check_fence(tenant, &resource, self.fencing_token).await?;
        let document = json!({ "current": checked.current, "highest_token": checked.highest_token });
        print(format, &document, || {
            let mut table = Table::fields();
            table.field("current", if checked.current { "yes" } else { "no" });
            table.field("highest token", checked.highest_token.to_string());
            table
        })?;
        Ok(if checked.current { Exit::Ok } else { Exit::Conflict })
    }
}
