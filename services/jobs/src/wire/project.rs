//! Settings of projects, in and out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use holdfast_fault::Fault;
use holdfast_ids::{Intent, ProjectId, TenantId};
use holdfast_proto::jobs::v1 as pb;

use super::field::{duration, elements, id, in_range, optional_id, required, timestamp, wire_duration};
use super::job::{known_tier, tier};
use crate::app::projects::Wanted;
use crate::domain::project::{IntentPolicy, JOBS_MAX, Project, QueueTimeout, Settings, WEIGHT_MAX};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(24 * 3600);
const ATTEMPTS_MAX: i32 = 1000;

impl TryFrom<pb::UpdateProjectRequest> for Wanted {
    type Error = Fault;

    fn try_from(request: pb::UpdateProjectRequest) -> Result<Self, Fault> {
        Ok(Self {
            tenant_id: optional_id("tenant_id", &request.tenant_id, TenantId::parse)?,
            project_id: id("project_id", &request.project_id, ProjectId::parse)?,
            expected_version: bigint("expected_version", request.expected_version)?,
            settings: settings(required("settings", request.settings)?).map_err(|fault| fault.under("settings."))?,
        })
    }
}

fn settings(wire: pb::ProjectSettings) -> Result<Settings, Fault> {
    let jobs = |field: &str, value: i32| Ok::<_, Fault>(given(in_range(field, value, 0..=JOBS_MAX)?));
    let (queue_soft, queue_hard) = (jobs("queue_soft", wire.queue_soft)?, jobs("queue_hard", wire.queue_hard)?);
    if queue_soft.zip(queue_hard).is_some_and(|(soft, hard)| soft > hard) {
        return Err(Fault::invalid("queue_soft", "is above queue_hard"));
    }
    let tokens_per_day_max = given(bigint("tokens_per_day_max", wire.tokens_per_day_max)?);
    let cost_micros_per_day_max = given(bigint("cost_micros_per_day_max", wire.cost_micros_per_day_max)?);
    let mut intents = BTreeMap::new();
    for (index, wire) in elements("intents", wire.intents, 0)?.into_iter().enumerate() {
        let path = format!("intents[{index}].");
        let (intent, policy) = policy(wire).map_err(|fault| fault.under(&path))?;
        if intents.insert(intent, policy).is_some() {
            return Err(Fault::invalid(format!("{path}intent"), "stands there twice"));
        }
    }
    Ok(Settings {
        running_max: jobs("running_max", wire.running_max)?,
        weight: given(in_range("weight", wire.weight, 0..=WEIGHT_MAX)?),
        queue_soft: queue_soft.map(i64::from),
        queue_hard: queue_hard.map(i64::from),
        tokens_per_day_max,
        cost_micros_per_day_max,
        intents,
    })
}

fn policy(wire: pb::IntentPolicy) -> Result<(Intent, IntentPolicy), Fault> {
    let intent = id("intent", &wire.intent, Intent::parse)?;
    let ms = |field: &str, wire: Option<prost_types::Duration>, min, max| -> Result<Option<i64>, Fault> {
        let within = wire.map(|wire| duration(field, wire, min, max)).transpose()?;
        Ok(within.map(|duration| duration.as_millis() as i64))
    };
    let delegations = wire.delegations.map(|allowed| {
        let intents = elements("delegations.intents", allowed.intents, 0)?.into_iter().enumerate();
        intents
            .map(|(index, name)| id(&format!("delegations.intents[{index}]"), &name, Intent::parse))
            .collect::<Result<BTreeSet<_>, Fault>>()
    });
    let policy = IntentPolicy {
        tier_floor: choice("tier_floor", wire.tier_floor, known_tier)?,
        run_budget_ms: ms("run_budget", wire.run_budget, SECOND, 7 * DAY)?,
        human_budget_ms: ms("human_budget", wire.human_budget, SECOND, 30 * DAY)?,
        max_attempts: given(in_range("max_attempts", wire.max_attempts, 0..=ATTEMPTS_MAX)?),
        retry_initial_ms: ms("retry_initial", wire.retry_initial, MS, DAY)?,
        retry_cap_ms: ms("retry_cap", wire.retry_cap, MS, DAY)?,
        retry_window_ms: ms("retry_window", wire.retry_window, MS, 30 * DAY)?,
        key_window_ms: ms("key_window", wire.key_window, MS, 366 * DAY)?,
        queue_budget_ms: ms("queue_budget", wire.queue_budget, SECOND, 7 * DAY)?,
        on_queue_timeout: choice("on_queue_timeout", wire.on_queue_timeout, known_reaction)?,
        delegations: delegations.transpose()?,
    };
    Ok((intent, policy))
}

/// A value of an enum; UNSPECIFIED says nothing.
fn choice<P: TryFrom<i32>, T>(field: &str, number: i32, known: fn(P) -> Option<T>) -> Result<Option<T>, Fault> {
    if number == 0 { Ok(None) } else { super::field::named(field, number, known).map(Some) }
}

/// 0 says nothing.
fn given<N: Default + PartialEq>(value: N) -> Option<N> {
    (value != N::default()).then_some(value)
}

fn bigint(field: &str, value: u64) -> Result<i64, Fault> {
    i64::try_from(value).map_err(|_| Fault::invalid(field, format!("is above {}", i64::MAX)))
}

fn reaction(reaction: QueueTimeout) -> pb::QueueTimeoutReaction {
    match reaction {
        QueueTimeout::Event => pb::QueueTimeoutReaction::Event,
        QueueTimeout::TimeOut => pb::QueueTimeoutReaction::TimeOut,
    }
}

fn known_reaction(wire: pb::QueueTimeoutReaction) -> Option<QueueTimeout> {
    QueueTimeout::ALL.iter().copied().find(|known| reaction(*known) == wire)
}

/// A project, and what holds for it.
pub fn project(project: Project, in_force: Settings) -> pb::Project {
    let version = project.version().unsigned_abs();
    let (updated_at, updated_by) = match project.latest {
        Some(change) => (Some(timestamp(change.at)), change.by.to_string()),
        None => (None, String::new()),
    };
    pb::Project {
        tenant_id: project.tenant_id.to_string(),
        project_id: project.project_id.to_string(),
        version,
        settings: Some(wire_settings(project.settings)),
        in_force: Some(wire_settings(in_force)),
        updated_at,
        updated_by,
    }
}

fn wire_settings(settings: Settings) -> pb::ProjectSettings {
    // Limits of configuration may be larger than any setting.
    let jobs = |limit: Option<i64>| limit.map_or(0, |limit| i32::try_from(limit).unwrap_or(i32::MAX));
    pb::ProjectSettings {
        running_max: settings.running_max.unwrap_or(0),
        weight: settings.weight.unwrap_or(0),
        queue_soft: jobs(settings.queue_soft),
        queue_hard: jobs(settings.queue_hard),
        tokens_per_day_max: settings.tokens_per_day_max.map_or(0, i64::unsigned_abs),
        cost_micros_per_day_max: settings.cost_micros_per_day_max.map_or(0, i64::unsigned_abs),
        intents: settings.intents.into_iter().map(wire_policy).collect(),
    }
}

fn wire_policy((intent, policy): (Intent, IntentPolicy)) -> pb::IntentPolicy {
    let wire = |ms: Option<i64>| ms.map(|ms| wire_duration(Duration::from_millis(ms.unsigned_abs())));
    pb::IntentPolicy {
        intent: intent.to_string(),
        tier_floor: policy.tier_floor.map_or(0, |floor| tier(floor).into()),
        run_budget: wire(policy.run_budget_ms),
        human_budget: wire(policy.human_budget_ms),
        max_attempts: policy.max_attempts.unwrap_or(0),
        retry_initial: wire(policy.retry_initial_ms),
        retry_cap: wire(policy.retry_cap_ms),
        retry_window: wire(policy.retry_window_ms),
        key_window: wire(policy.key_window_ms),
        queue_budget: wire(policy.queue_budget_ms),
        on_queue_timeout: policy.on_queue_timeout.map_or(0, |own| reaction(own).into()),
        delegations: policy
            .delegations
            .map(|allowed| pb::Delegations { intents: allowed.iter().map(ToString::to_string).collect() }),
    }
}
