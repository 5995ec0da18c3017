use holdfast_proto::jobs::v1::GetJobRequest;

use crate::{
    connection::{CallError, Connection},
    output::{Format, print},
    present,
};

#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    job_id: String,
}

impl GetArgs {
    pub(crate) async fn run(self, connection: &Connection, format: Format) -> anyhow::Result<()> {
        let request = connection.request(GetJobRequest { job_id: self.job_id });
        let response = connection.jobs().get_job(request).await.map_err(CallError::from)?.into_inner();
        let job = response.job.unwrap_or_default();
        print(format, &present::job_json(&job), || present::job_table(&job))
    }
}
