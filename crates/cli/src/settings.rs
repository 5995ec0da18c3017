//! Settings of a project as a document: the names of the contract, durations in milliseconds, and nothing where nothing is
//! set.

use holdfast_client::pb::{Delegations, IntentPolicy, ProjectSettings, QueueTimeoutReaction, RiskTier};
use prost_types::Duration;
use serde::{Deserialize, Serialize};

macro_rules! documents {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $of:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub(crate) struct $name {
            $(#[serde(skip_serializing_if = "Option::is_none")] $field: Option<$of>,)*
        }
    )*};
}

documents! {
    SettingsDocument {
        running_max: i32,
        weight: i32,
        queue_soft: i32,
        queue_hard: i32,
        tokens_per_day_max: u64,
        cost_micros_per_day_max: u64,
        intents: Vec<PolicyDocument>,
    }
    PolicyDocument {
        intent: String,
        tier_floor: Tier,
        run_budget_ms: u64,
        human_budget_ms: u64,
        max_attempts: i32,
        retry_initial_ms: u64,
        retry_cap_ms: u64,
        retry_window_ms: u64,
        key_window_ms: u64,
        queue_budget_ms: u64,
        on_queue_timeout: Reaction,
        delegations: Vec<String>,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Tier {
    A,
    B,
    C,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reaction {
    Event,
    TimeOut,
}

fn given<N: Default + PartialEq>(value: N) -> Option<N> {
    Some(value).filter(|value| *value != N::default())
}

fn ms(duration: Option<Duration>) -> Option<u64> {
    duration.map(|it| it.seconds.unsigned_abs() * 1000 + u64::from(it.nanos.unsigned_abs()) / 1_000_000)
}

fn duration(ms: Option<u64>) -> Option<Duration> {
    // What is longer than seconds can say is refused by the service as too long.
    ms.map(|ms| Duration { seconds: (ms / 1000) as i64, nanos: (ms % 1000) as i32 * 1_000_000 })
}

impl SettingsDocument {
    pub(crate) fn policy(policy: IntentPolicy) -> PolicyDocument {
        PolicyDocument {
            tier_floor: match policy.tier_floor() {
                RiskTier::Unspecified => None,
                RiskTier::A => Some(Tier::A),
                RiskTier::B => Some(Tier::B),
                RiskTier::C => Some(Tier::C),
            },
            on_queue_timeout: match policy.on_queue_timeout() {
                QueueTimeoutReaction::Unspecified => None,
                QueueTimeoutReaction::Event => Some(Reaction::Event),
                QueueTimeoutReaction::TimeOut => Some(Reaction::TimeOut),
            },
            intent: Some(policy.intent),
            run_budget_ms: ms(policy.run_budget),
            human_budget_ms: ms(policy.human_budget),
            max_attempts: given(policy.max_attempts),
            retry_initial_ms: ms(policy.retry_initial),
            retry_cap_ms: ms(policy.retry_cap),
            retry_window_ms: ms(policy.retry_window),
            key_window_ms: ms(policy.key_window),
            queue_budget_ms: ms(policy.queue_budget),
            delegations: policy.delegations.map(|allowed| allowed.intents),
        }
    }
}

impl From<ProjectSettings> for SettingsDocument {
    fn from(settings: ProjectSettings) -> Self {
        Self {
            running_max: given(settings.running_max),
            weight: given(settings.weight),
            queue_soft: given(settings.queue_soft),
            queue_hard: given(settings.queue_hard),
            tokens_per_day_max: given(settings.tokens_per_day_max),
            cost_micros_per_day_max: given(settings.cost_micros_per_day_max),
            intents: given(settings.intents.into_iter().map(Self::policy).collect()),
        }
    }
}

impl From<SettingsDocument> for ProjectSettings {
    fn from(document: SettingsDocument) -> Self {
        Self {
            running_max: document.running_max.unwrap_or_default(),
            weight: document.weight.unwrap_or_default(),
            queue_soft: document.queue_soft.unwrap_or_default(),
            queue_hard: document.queue_hard.unwrap_or_default(),
            tokens_per_day_max: document.tokens_per_day_max.unwrap_or_default(),
            cost_micros_per_day_max: document.cost_micros_per_day_max.unwrap_or_default(),
            intents: document.intents.unwrap_or_default().into_iter().map(Into::into).collect(),
        }
    }
}

impl From<PolicyDocument> for IntentPolicy {
    fn from(document: PolicyDocument) -> Self {
        let tier_floor = document.tier_floor.map_or(RiskTier::Unspecified, |floor| match floor {
            Tier::A => RiskTier::A,
            Tier::B => RiskTier::B,
            Tier::C => RiskTier::C,
        });
        let on_queue_timeout = document.on_queue_timeout.map_or(QueueTimeoutReaction::Unspecified, |own| match own {
            Reaction::Event => QueueTimeoutReaction::Event,
            Reaction::TimeOut => QueueTimeoutReaction::TimeOut,
        });
        Self {
            intent: document.intent.unwrap_or_default(),
            tier_floor: tier_floor.into(),
            run_budget: duration(document.run_budget_ms),
            human_budget: duration(document.human_budget_ms),
            max_attempts: document.max_attempts.unwrap_or_default(),
            retry_initial: duration(document.retry_initial_ms),
            retry_cap: duration(document.retry_cap_ms),
            retry_window: duration(document.retry_window_ms),
            key_window: duration(document.key_window_ms),
            queue_budget: duration(document.queue_budget_ms),
            on_queue_timeout: on_queue_timeout.into(),
            delegations: document.delegations.map(|intents| Delegations { intents }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_says_what_is_set_and_comes_back_as_it_was() {
        let text = r#"{"weight":7,"intents":[{"intent":"a.b","tier_floor":"B","run_budget_ms":1500,"on_queue_timeout":"time_out","delegations":[]}]}"#;
        let document: SettingsDocument = serde_json::from_str(text).unwrap();
        let settings = ProjectSettings::from(document);
        assert_eq!(settings.intents[0].run_budget, Some(Duration { seconds: 1, nanos: 500_000_000 }));
        assert_eq!(settings.intents[0].delegations, Some(Delegations::default()));
        assert_eq!(serde_json::to_string(&SettingsDocument::from(settings)).unwrap(), text);
        assert!(serde_json::from_str::<SettingsDocument>(r#"{"wieght":7}"#).is_err());
    }
}
