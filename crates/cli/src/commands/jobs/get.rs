use holdfast_client::Client;

use crate::{
    output::{Format, print},
    present,
};

#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    job_id: String,
}

impl GetArgs {
    pub(crate) async fn run(self, client: &Client, format: Format) -> anyhow::Result<()> {
        let job = client.jobs().get(&self.job_id).await?;
        print(format, &present::job_json(&job), || present::job_table(&job))
    }
}
