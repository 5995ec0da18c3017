use holdfast_proto::jobs::v1::{DecideJobRequest, Decision, ListApprovalsRequest};
use serde_json::{Value, json};

use crate::{
    connection::{CallError, Connection},
    output::{Format, print},
    present,
};

#[derive(Debug, clap::Args)]
pub(crate) struct DecideArgs {
    job_id: String,
    #[arg(value_enum)]
    decision: DecisionArg,
    /// Kept with the decision; required unless it approves.
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// The id of the job's latest decision, where this one corrects it.
    #[arg(long, default_value = "", hide_default_value = true)]
    corrects: String,
    /// Idempotency key of the decision: repeated under it, the answer is the same [default: a new one].
    #[arg(long)]
    key: Option<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum DecisionArg {
    Approve,
    Reject,
    RequestChanges,
    Defer,
}

impl From<DecisionArg> for Decision {
    fn from(decision: DecisionArg) -> Self {
        match decision {
            DecisionArg::Approve => Self::Approve,
            DecisionArg::Reject => Self::Reject,
            DecisionArg::RequestChanges => Self::RequestChanges,
            DecisionArg::Defer => Self::Defer,
        }
    }
}

impl DecideArgs {
    pub(crate) async fn run(self, connection: &Connection, format: Format) -> anyhow::Result<()> {
        let request = DecideJobRequest {
            job_id: self.job_id,
            decision: Decision::from(self.decision).into(),
            reason: self.reason,
            corrects: self.corrects,
            idempotency_key: self.key.unwrap_or_else(|| uuid::Uuid::now_v7().to_string()),
        };
        let response =
            connection.jobs().decide_job(connection.request(request)).await.map_err(CallError::from)?.into_inner();
        let (job, approval) = (response.job.unwrap_or_default(), response.approval.unwrap_or_default());
        let document = json!({
            "job": present::job_json(&job),
            "approval": present::approval_json(&approval),
            "replayed": response.replayed,
        });
        print(format, &document, || present::job_table(&job))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ApprovalsArgs {
    job_id: String,
}

impl ApprovalsArgs {
    pub(crate) async fn run(self, connection: &Connection, format: Format) -> anyhow::Result<()> {
        let request = connection.request(ListApprovalsRequest { job_id: self.job_id });
        let response = connection.jobs().list_approvals(request).await.map_err(CallError::from)?.into_inner();
        let approvals: Vec<Value> = response.approvals.iter().map(present::approval_json).collect();
        print(format, &json!({ "approvals": approvals }), || present::approvals_table(&response.approvals))
    }
}
