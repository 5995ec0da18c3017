use holdfast_client::{Client, Decision, IdempotencyKey, NewDecision};
use serde_json::{Value, json};

use crate::{
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
    #[arg(long)]
    corrects: Option<String>,
    /// Idempotency key of the decision: repeated under it, the answer is the same [default: a new one].
    #[arg(long)]
    key: Option<IdempotencyKey>,
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
    pub(crate) async fn run(self, client: &Client, format: Format) -> anyhow::Result<()> {
        let decision = NewDecision {
            decision: self.decision.into(),
            reason: self.reason,
            corrects: self.corrects,
            key: self.key.unwrap_or_else(IdempotencyKey::random),
        };
        let decided = client.jobs().decide(&self.job_id, decision).await?;
        let document = json!({
            "job": present::job_json(&decided.job),
            "approval": present::approval_json(&decided.approval),
            "replayed": decided.replayed,
        });
        print(format, &document, || present::job_table(&decided.job))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ApprovalsArgs {
    job_id: String,
}

impl ApprovalsArgs {
    pub(crate) async fn run(self, client: &Client, format: Format) -> anyhow::Result<()> {
        let approvals = client.jobs().approvals(&self.job_id).await?;
        let document: Vec<Value> = approvals.iter().map(present::approval_json).collect();
        print(format, &json!({ "approvals": document }), || present::approvals_table(&approvals))
    }
}
