//! What a deployment may hold, how long, and how much of it.

use std::collections::HashMap;
use std::time::Duration;

use holdfast_fault::Fault;
use holdfast_ids::TenantId;
use serde::Deserialize;

use crate::domain::growth::Marks;
use crate::domain::labels::{Classification, Holding, Residency};
use crate::domain::submission::RUN_AFTER_AHEAD_MAX_S;
use crate::store::growth::Kept;

const DAY_S: i64 = 24 * 3600;
/// The longest run budget.
const RUN_S_MAX: i64 = 7 * DAY_S;

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Growth {
    /// A table with more rows: somebody has to plan what becomes of the oldest.
    pub preparation_rows: i64,
    /// A table with as many rows: it has to be done by now.
    pub activation_rows: i64,
}

impl Default for Growth {
    fn default() -> Self {
        Self { preparation_rows: 60_000_000, activation_rows: 90_000_000 }
    }
}

impl Growth {
    pub fn marks(&self) -> Marks {
        Marks { preparation_rows: self.preparation_rows, activation_rows: self.activation_rows }
    }
}

/// How long rows are kept at hand, in days; what is older is ready for archive.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    pub jobs_days: u32,
    pub job_events_days: u32,
    pub approvals_days: u32,
    /// Of what jobs used of models, and its sums.
    pub model_usage_days: u32,
    /// Longer than a key can stand for anything, so that nothing in force is ever archived.
    pub idempotency_ledger_days: u32,
    /// Sums of usage are taken away rather than archived: what they are the sums of stays.
    pub budget_usage_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            jobs_days: 365,
            job_events_days: 180,
            approvals_days: 365,
            model_usage_days: 365,
            idempotency_ledger_days: 400,
            budget_usage_days: 400,
        }
    }
}

impl Retention {
    /// A partition holds the jobs that were made in a week, and what happened to them whenever it did. So its last event is as
    /// much younger than the end of that week as a job can live: until it may run, as long as it may wait, and while it runs.
    pub fn kept(&self, max_age: Duration) -> Vec<Kept> {
        let life_s = RUN_AFTER_AHEAD_MAX_S + max_age.as_secs() as i64 + RUN_S_MAX;
        let kept = |table, days: u32, life_s| Kept { table, seconds: i64::from(days) * DAY_S + life_s };
        vec![
            kept("jobs", self.jobs_days, life_s),
            kept("job_events", self.job_events_days, life_s),
            kept("approvals", self.approvals_days, life_s),
            kept("model_usage", self.model_usage_days, life_s),
            kept("job_usage", self.model_usage_days, life_s),
            kept("idempotency_ledger", self.idempotency_ledger_days, 0),
        ]
    }

    pub fn budget_usage_kept(&self) -> Duration {
        Duration::from_secs(u64::from(self.budget_usage_days) * DAY_S.unsigned_abs())
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResidencyConfig {
    /// Where this deployment keeps its data; "global" where nobody has promised anything.
    pub region: String,
    /// Its own region and "global" where absent.
    pub may_hold: Option<Vec<String>>,
    /// Of jobs that do not say.
    pub classification_default: String,
    /// Anything more sensitive is refused.
    pub classification_max: String,
    /// What tenants have declared.
    pub tenants: Vec<TenantResidency>,
}

impl Default for ResidencyConfig {
    fn default() -> Self {
        Self {
            region: Residency::Global.as_str().to_owned(),
            may_hold: None,
            classification_default: Classification::Internal.as_str().to_owned(),
            classification_max: Classification::Sensitive.as_str().to_owned(),
            tenants: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantResidency {
    pub tenant: TenantId,
    pub residency: String,
}

impl ResidencyConfig {
    /// Fails with the key that names nothing known.
    pub fn holding(&self) -> Result<Holding, Fault> {
        let region = residency("residency.region", &self.region)?;
        let may_hold = match &self.may_hold {
            Some(names) => names.iter().map(|name| residency("residency.may_hold", name)).collect::<Result<_, _>>()?,
            None => vec![region, Residency::Global],
        };
        let tenants = self.tenants.iter().map(|declared| {
            Ok((declared.tenant.clone(), residency("residency.tenants.residency", &declared.residency)?))
        });
        Ok(Holding {
            region,
            may_hold,
            classification_default: classification("residency.classification_default", &self.classification_default)?,
            classification_max: classification("residency.classification_max", &self.classification_max)?,
            tenants: tenants.collect::<Result<HashMap<_, _>, Fault>>()?,
        })
    }
}

fn residency(key: &str, name: &str) -> Result<Residency, Fault> {
    Residency::from_name(name).ok_or_else(|| Fault::invalid(key, "US, EU or global"))
}

fn classification(key: &str, name: &str) -> Result<Classification, Fault> {
    Classification::from_name(name).ok_or_else(|| Fault::invalid(key, "public, internal or sensitive"))
}
