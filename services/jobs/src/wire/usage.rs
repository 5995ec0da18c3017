//! Usage and budgets.

use holdfast_fault::Fault;
use holdfast_ids::{ActorId, IdempotencyKey, JobId, ModelName, ProjectId, ProviderName, TenantId};
use holdfast_proto::jobs::v1 as pb;

use super::field::{elements, id, in_range, named, optional_id, timestamp};
use super::job::state;
use super::worker::lease_ref;
use crate::app::budgets::{Sought, Source, Standing};
use crate::app::usage::{Recorded, Reported};
use crate::domain::budget::{BudgetScope, Usage};

const TOKENS_MAX: i64 = 1_000_000_000;
/// Ten thousand US dollars.
const COST_MICRO_USD_MAX: i64 = 10_000_000_000;

/// Reports, each malformed or not by itself.
pub fn reports(request: pb::RecordUsageRequest) -> Result<Vec<Result<Reported, Fault>>, Fault> {
    let usages = elements("usages", request.usages, 1)?.into_iter().enumerate();
    Ok(usages.map(|(index, usage)| reported(&format!("usages[{index}]."), usage)).collect())
}

fn reported(prefix: &str, usage: pb::Usage) -> Result<Reported, Fault> {
    let path = |field: &str| format!("{prefix}{field}");
    let named = optional_id(&path("job_id"), &usage.job_id, JobId::parse)?;
    let lease = usage.lease.map(|lease| lease_ref(&path("lease."), Some(lease))).transpose()?;
    let job_id = named.or(lease.map(|lease| lease.job_id)).ok_or_else(|| Fault::missing(path("job_id")))?;
    if lease.is_some_and(|lease| lease.job_id != job_id) {
        return Err(Fault::invalid(path("job_id"), "is not the job of the lease"));
    }
    Ok(Reported {
        job_id,
        lease,
        key: id(&path("idempotency_key"), &usage.idempotency_key, IdempotencyKey::parse)?,
        usage: Usage {
            provider: id(&path("provider"), &usage.provider, ProviderName::parse)?.to_string(),
            model: id(&path("model"), &usage.model, ModelName::parse)?.to_string(),
            input_tokens: in_range(&path("input_tokens"), usage.input_tokens, 0..=TOKENS_MAX)?,
            output_tokens: in_range(&path("output_tokens"), usage.output_tokens, 0..=TOKENS_MAX)?,
            cost_micro_usd: in_range(&path("cost_micro_usd"), usage.cost_micro_usd, 0..=COST_MICRO_USD_MAX)?,
        },
    })
}

pub fn recorded(outcome: Result<Recorded, Fault>) -> pb::RecordUsageResult {
    use pb::record_usage_result::{Outcome, Recorded};
    let outcome = match outcome {
        Ok(recorded) => Outcome::Recorded(Recorded {
            replayed: recorded.replayed,
            recorded_at: Some(timestamp(recorded.recorded_at)),
            job_state: state(recorded.job_state).into(),
            exceeded: recorded.budgets.iter().any(Standing::is_exceeded),
            budgets: recorded.budgets.into_iter().map(Into::into).collect(),
        }),
        Err(fault) => Outcome::Error(fault.to_rpc_status()),
    };
    pb::RecordUsageResult { outcome: Some(outcome) }
}

fn scope(scope: BudgetScope) -> pb::BudgetScope {
    match scope {
        BudgetScope::Job => pb::BudgetScope::Job,
        BudgetScope::User => pb::BudgetScope::User,
        BudgetScope::Project => pb::BudgetScope::Project,
        BudgetScope::Tenant => pb::BudgetScope::Tenant,
    }
}

fn known_scope(scope: pb::BudgetScope) -> Option<BudgetScope> {
    BudgetScope::ALL.iter().copied().find(|known| self::scope(*known) == scope)
}

/// The tenant that is named, and whose budget.
pub fn sought(request: pb::GetBudgetRequest) -> Result<(Option<TenantId>, Sought), Fault> {
    const ID: &str = "scope_id";
    let tenant_id = optional_id("tenant_id", &request.tenant_id, TenantId::parse)?;
    let sought = match named("scope", request.scope, known_scope)? {
        BudgetScope::Job => Sought::Job(id(ID, &request.scope_id, JobId::parse)?),
        BudgetScope::User => Sought::User(optional_id(ID, &request.scope_id, ActorId::parse)?),
        BudgetScope::Project => Sought::Project(id(ID, &request.scope_id, ProjectId::parse)?),
        BudgetScope::Tenant if request.scope_id.is_empty() => Sought::Tenant,
        BudgetScope::Tenant => return Err(Fault::invalid(ID, "is empty for a tenant's budget")),
    };
    Ok((tenant_id, sought))
}

impl From<Standing> for pb::Budget {
    fn from(standing: Standing) -> Self {
        let amount = |used, limit| Some(pb::budget::Amount { used, limit });
        Self {
            exceeded: standing.is_exceeded(),
            scope: scope(standing.key.scope).into(),
            scope_id: standing.key.scope_id,
            tokens: amount(standing.spent.tokens, standing.allowance.tokens),
            cost_micro_usd: amount(standing.spent.cost_micro_usd, standing.allowance.cost_micro_usd),
            resets_at: standing.resets_at.map(timestamp),
        }
    }
}

pub fn budget((standing, source): (Standing, Source)) -> pb::GetBudgetResponse {
    let source = match source {
        Source::Redis => pb::CountSource::Redis,
        Source::Postgres => pb::CountSource::Postgres,
    };
    pb::GetBudgetResponse { budget: Some(standing.into()), source: source.into() }
}
