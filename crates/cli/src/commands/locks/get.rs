use holdfast_client::Client;

use super::Named;
use crate::{
    output::{Format, print},
    present::locks,
};

#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    named: Named,
}

impl GetArgs {
    pub(crate) async fn run(self, client: &Client, format: Format) -> anyhow::Result<()> {
        let lock = client.locks().get(&self.named.place.tenant, &self.named.resource()).await?;
        print(format, &locks::lock_json(&lock), || locks::lock_table(&lock))
    }
}
