//! The UsageService: what jobs use of models, and how budgets stand.

use std::fmt;

use pb::{
    Budget, BudgetScope, Usage,
    record_usage_result::{Outcome, Recorded},
    usage_service_client::UsageServiceClient,
};
use tonic::{Response, Status};

use crate::{Client, Error, IdempotencyKey, JobError, pb};

/// What one call of a model has cost, or several taken together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelUsage {
    /// 1 to 64 of letters, digits, '.', '_', ':', '/', '-'.
    pub provider: String,
    /// 1 to 128 of the same.
    pub model: String,
    pub input_tokens: u32,
    pub output_tokens: u32,
    /// Millionths of a US dollar.
    pub cost_micro_usd: u64,
}

impl ModelUsage {
    /// Of nothing yet.
    pub fn of(provider: impl Into<String>, model: impl Into<String>) -> Self {
        Self { provider: provider.into(), model: model.into(), ..Self::default() }
    }
}

/// Whose budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetOf<'a> {
    /// Of a job, for all of its life.
    Job(&'a str),
    /// The caller's own, of the day.
    Me,
    /// Another person's, agent's or service's, of the day.
    Actor(&'a str),
    /// Of a project, of the day.
    Project(&'a str),
    /// Of the tenant, of the month.
    Tenant,
}

/// Usage was recorded, and a budget that its job draws on is exceeded: spend no more. The job has ended, or will within
/// seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetExceeded {
    /// What was answered; all four budgets are in it.
    pub recorded: Recorded,
}

impl BudgetExceeded {
    /// Those that are exceeded.
    pub fn budgets(&self) -> impl Iterator<Item = &Budget> {
        self.recorded.budgets.iter().filter(|budget| budget.exceeded)
    }
}

/// Why usage is the last that may be, or was not recorded.
#[derive(Debug, Clone)]
pub enum UsageError {
    /// It was recorded. Boxed: what is rare is not to make every answer larger.
    Exceeded(Box<BudgetExceeded>),
    /// It was not, or nobody knows: record it again, under the same key.
    Failed(Error),
}

/// Calls about usage and budgets.
#[derive(Clone)]
pub struct Usages {
    pub(crate) client: Client,
}

impl Usages {
    /// Records what a job has used, whatever has become of the job: the money is spent. The key makes the same usage the
    /// same, within the job and for good. Workers use [`Job::record_usage`](crate::Job::record_usage).
    pub async fn record(&self, job_id: &str, key: &IdempotencyKey, used: ModelUsage) -> Result<Recorded, UsageError> {
        self.send(Usage { job_id: job_id.to_owned(), ..usage(key, used) }).await
    }

    pub(crate) async fn send(&self, usage: Usage) -> Result<Recorded, UsageError> {
        let request = pb::RecordUsageRequest { usages: vec![usage] };
        let recorded = self.client.call(request, |channel, request| async move {
            let answer = UsageServiceClient::new(channel).record_usage(request).await?;
            // As if the call had failed with it: so it is sent again where it can succeed later.
            match answer.into_inner().results.pop().and_then(|result| result.outcome) {
                Some(Outcome::Recorded(recorded)) => Ok(Response::new(recorded)),
                Some(Outcome::Error(status)) => Err(of_item(&status)),
                None => Err(Status::internal("the answer says nothing about the usage")),
            }
        });
        match recorded.await {
            Ok(recorded) if recorded.exceeded => Err(UsageError::Exceeded(Box::new(BudgetExceeded { recorded }))),
            Ok(recorded) => Ok(recorded),
            Err(error) => Err(UsageError::Failed(error)),
        }
    }

    /// How a budget stands. `tenant` may be empty where the token names one tenant alone. Where a replica serves reports,
    /// what was recorded just now may be missing; what [`record`](Self::record) answers is counted to the last token.
    pub async fn budget(&self, tenant: &str, of: BudgetOf<'_>) -> Result<Budget, Error> {
        let (scope, scope_id) = match of {
            BudgetOf::Job(job_id) => (BudgetScope::Job, job_id),
            BudgetOf::Me => (BudgetScope::User, ""),
            BudgetOf::Actor(actor_id) => (BudgetScope::User, actor_id),
            BudgetOf::Project(project_id) => (BudgetScope::Project, project_id),
            BudgetOf::Tenant => (BudgetScope::Tenant, ""),
        };
        let request =
            pb::GetBudgetRequest { tenant_id: tenant.to_owned(), scope: scope.into(), scope_id: scope_id.to_owned() };
        let answer = self.client.call(request, |channel, request| async move {
            UsageServiceClient::new(channel).get_budget(request).await
        });
        Error::unless_there(answer.await?.budget)
    }
}

/// Without the job that it is of.
pub(crate) fn usage(key: &IdempotencyKey, used: ModelUsage) -> Usage {
    Usage {
        job_id: String::new(),
        lease: None,
        idempotency_key: key.into(),
        provider: used.provider,
        model: used.model,
        input_tokens: used.input_tokens.into(),
        output_tokens: used.output_tokens.into(),
        // More than anybody has: the service refuses it, and says so.
        cost_micro_usd: used.cost_micro_usd.try_into().unwrap_or(i64::MAX),
    }
}

fn of_item(status: &tonic_types::Status) -> Status {
    use prost::Message as _;
    Status::with_details(status.code.into(), &status.message, status.encode_to_vec().into())
}

impl fmt::Display for BudgetExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = |budget: &Budget| {
            let name = budget.scope().as_str_name().trim_start_matches("BUDGET_SCOPE_").to_lowercase();
            format!("the budget of {name} {} is exceeded", budget.scope_id)
        };
        f.write_str(&self.budgets().map(scope).collect::<Vec<_>>().join(", "))
    }
}

impl std::error::Error for BudgetExceeded {}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exceeded(exceeded) => exceeded.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for UsageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Exceeded(exceeded) => Some(&**exceeded),
            Self::Failed(error) => Some(error),
        }
    }
}

/// A handler that stops where its job's money ends. Its answer counts only where the job goes on all the same.
impl From<UsageError> for JobError {
    fn from(error: UsageError) -> Self {
        match error {
            UsageError::Exceeded(exceeded) => Self::permanent("budget_exceeded", exceeded),
            UsageError::Failed(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use holdfast_fault::Fault;

    use super::*;
    use crate::Reason;

    #[test]
    fn an_error_of_an_item_is_read_like_that_of_a_call() {
        let fault = Fault::dependency_down("postgres", "gone").retry_after(std::time::Duration::from_secs(3));
        let error = Error::of_status(of_item(&fault.to_rpc_status()));
        assert!(error.is(Reason::Infra503DependencyDown) && error.is_retryable());
        assert_eq!((error.metadata["component"].as_str(), error.retry_after.unwrap().as_secs()), ("postgres", 3));
    }

    #[test]
    fn what_is_exceeded_is_said_by_its_name() {
        let of = |scope: BudgetScope, scope_id: &str, exceeded| Budget {
            scope: scope.into(),
            scope_id: scope_id.to_owned(),
            exceeded,
            ..Budget::default()
        };
        let budgets = vec![of(BudgetScope::Job, "j", false), of(BudgetScope::Project, "alpha", true)];
        let exceeded = BudgetExceeded { recorded: Recorded { budgets, exceeded: true, ..Recorded::default() } };
        assert_eq!(exceeded.to_string(), "the budget of project alpha is exceeded");
        let error = JobError::from(UsageError::Exceeded(Box::new(exceeded)));
        assert_eq!((error.is_retryable(), error.code()), (false, "budget_exceeded"));
    }
}
