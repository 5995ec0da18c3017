//! Budgets: what may be used, by whom and by when.

use chrono::{DateTime, Datelike as _, Days, Months, NaiveTime, Utc};
use holdfast_ids::{ActorId, JobId, ProjectId, TenantId};

use super::job::{Facts, Time};

/// Who ends jobs for a budget that somebody else's usage exceeded, in the history.
pub const ENDED_BY: &str = "system:budgets";

named! {
    BudgetScope {
        /// One job, for all of its life.
        Job = "job",
        /// A submitter, over its jobs, a day.
        User = "user",
        /// A project, a day.
        Project = "project",
        /// A tenant, a month.
        Tenant = "tenant",
    }
}

impl BudgetScope {
    /// The period that a time falls into, in UTC; None where there is no other.
    pub fn period(self, at: Time) -> Option<Period> {
        let day = at.date_naive();
        let (first, next) = match self {
            Self::Job => return None,
            Self::User | Self::Project => (day, day.checked_add_days(Days::new(1))?),
            Self::Tenant => {
                let first = day.with_day(1)?;
                (first, first.checked_add_months(Months::new(1))?)
            }
        };
        let midnight = |day: chrono::NaiveDate| -> DateTime<Utc> { day.and_time(NaiveTime::MIN).and_utc() };
        Some(Period { starts_at: midnight(first), ends_at: midnight(next) })
    }
}

/// From its start up to, and without, its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    pub starts_at: Time,
    pub ends_at: Time,
}

/// Whose budget. The order is the one in which counts are locked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BudgetKey {
    pub tenant_id: TenantId,
    pub scope: BudgetScope,
    pub scope_id: String,
}

impl BudgetKey {
    pub fn of_job(tenant_id: &TenantId, job_id: JobId) -> Self {
        Self { tenant_id: tenant_id.clone(), scope: BudgetScope::Job, scope_id: job_id.to_string() }
    }

    /// The budgets that all jobs of a submitter in a project draw on.
    pub fn shared(tenant_id: &TenantId, project_id: &ProjectId, user_id: &ActorId) -> [Self; 3] {
        [
            (BudgetScope::User, user_id.as_str()),
            (BudgetScope::Project, project_id.as_str()),
            (BudgetScope::Tenant, tenant_id.as_str()),
        ]
        .map(|(scope, id)| Self { tenant_id: tenant_id.clone(), scope, scope_id: id.to_owned() })
    }

    pub fn shared_by(facts: &Facts) -> [Self; 3] {
        Self::shared(&facts.tenant_id, &facts.project_id, &facts.actor_id)
    }
}

/// What was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    pub tokens: i64,
    pub cost_micro_usd: i64,
}

impl std::ops::AddAssign for Spent {
    fn add_assign(&mut self, more: Self) {
        self.tokens += more.tokens;
        self.cost_micro_usd += more.cost_micro_usd;
    }
}

/// What is counted for a budget in a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    pub key: BudgetKey,
    pub period: Period,
    pub spent: Spent,
}

named! {
    Measure {
        Tokens = "tokens",
        /// In millionths of a US dollar.
        Cost = "cost",
    }
}

/// What may be used; None is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowance {
    pub tokens: Option<i64>,
    pub cost_micro_usd: Option<i64>,
}

impl Allowance {
    /// Whether more is used than may be.
    pub fn exceeded(&self, key: &BudgetKey, spent: Spent, resets_at: Option<Time>) -> Option<Exceeded> {
        let measures =
            [(Measure::Tokens, self.tokens, spent.tokens), (Measure::Cost, self.cost_micro_usd, spent.cost_micro_usd)];
        let (measure, limit, used) = measures
            .into_iter()
            .find_map(|(measure, limit, used)| Some((measure, limit.filter(|l| used > *l)?, used)))?;
        let (scope, scope_id) = (key.scope, key.scope_id.clone());
        Some(Exceeded { scope, scope_id, measure, limit, used, resets_at })
    }
}

/// A budget of which more was used than its limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exceeded {
    pub scope: BudgetScope,
    pub scope_id: String,
    pub measure: Measure,
    pub limit: i64,
    pub used: i64,
    /// None for a job's own.
    pub resets_at: Option<Time>,
}

impl Exceeded {
    /// "project.tokens".
    pub fn name(&self) -> String {
        format!("{}.{}", self.scope.as_str(), self.measure.as_str())
    }
}

/// One report of usage, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    pub provider: String,
    pub model: String,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cost_micro_usd: i64,
}

impl Usage {
    pub fn spent(&self) -> Spent {
        Spent { tokens: self.input_tokens + self.output_tokens, cost_micro_usd: self.cost_micro_usd }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        text.parse().expect("a time")
    }

    #[test]
    fn days_and_months_are_utc_and_hold_their_start_but_not_their_end() {
        for (scope, time, starts_at, ends_at) in [
            (BudgetScope::User, "2028-02-29T23:59:59.999999Z", "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"),
            (BudgetScope::Project, "2026-12-31T00:00:00Z", "2026-12-31T00:00:00Z", "2027-01-01T00:00:00Z"),
            (BudgetScope::Tenant, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            (BudgetScope::Tenant, "2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z"),
        ] {
            let period = scope.period(at(time)).expect("a period");
            assert_eq!(period, Period { starts_at: at(starts_at), ends_at: at(ends_at) }, "{time}");
        }
        assert_eq!(BudgetScope::Job.period(at("2026-12-31T00:00:00Z")), None);
    }

    #[test]
    fn a_budget_is_exceeded_by_more_than_its_limit_and_not_before() {
        let key = BudgetKey {
            tenant_id: TenantId::parse("acme").expect("a tenant"),
            scope: BudgetScope::Project,
            scope_id: "alpha".to_owned(),
        };
        let name = |allowance: Allowance, tokens, cost_micro_usd| {
            allowance.exceeded(&key, Spent { tokens, cost_micro_usd }, None).map(|exceeded| exceeded.name())
        };
        let both = Allowance { tokens: Some(10), cost_micro_usd: Some(100) };
        assert_eq!(name(both, 10, 100), None);
        assert_eq!(name(both, 11, 100).as_deref(), Some("project.tokens"));
        assert_eq!(name(both, 10, 101).as_deref(), Some("project.cost"));
        assert_eq!(name(Allowance::default(), i64::MAX, i64::MAX), None);
        assert_eq!(name(Allowance { tokens: Some(0), ..both }, 1, 0).as_deref(), Some("project.tokens"));
    }
}
