//! What an owner may set for a project.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_ids::{ActorId, Intent, ProjectId, TenantId};
use serde::{Deserialize, Serialize};

use super::job::{Tier, Time};

/// Of running jobs, and of jobs that wait.
pub const JOBS_MAX: i32 = 1_000_000;
pub const WEIGHT_MAX: i32 = 10_000;
pub const WEIGHT_DEFAULT: i32 = 100;

named! {
    /// What comes of a job that has used up its time in the queue.
    QueueTimeout {
        /// It is told, and the job waits on.
        Event = "event",
        TimeOut = "time_out",
    }
}

/// The settings of a project; None is as configuration has it. The form in which they are kept is this one: fields are
/// added, and never renamed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Jobs that run at once.
    pub running_max: Option<i32>,
    /// Its share among the projects of its tenant.
    pub weight: Option<i32>,
    pub queue_soft: Option<i64>,
    pub queue_hard: Option<i64>,
    pub tokens_per_day_max: Option<i64>,
    pub cost_micros_per_day_max: Option<i64>,
    pub intents: BTreeMap<Intent, IntentPolicy>,
}

/// What holds for one intent in one project; None is as configuration has it for the intent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IntentPolicy {
    /// Jobs of a lower tier are raised to it.
    pub tier_floor: Option<Tier>,
    pub run_budget_ms: Option<i64>,
    pub human_budget_ms: Option<i64>,
    pub max_attempts: Option<i32>,
    pub retry_initial_ms: Option<i64>,
    pub retry_cap_ms: Option<i64>,
    pub retry_window_ms: Option<i64>,
    pub key_window_ms: Option<i64>,
    pub queue_budget_ms: Option<i64>,
    pub on_queue_timeout: Option<QueueTimeout>,
    /// What jobs of the intent may be the parents of; None: of any.
    pub delegations: Option<BTreeSet<Intent>>,
}

impl Settings {
    /// The names of what is not as in the other.
    pub fn changed(&self, other: &Self) -> Vec<&'static str> {
        [
            ("running_max", self.running_max != other.running_max),
            ("weight", self.weight != other.weight),
            ("queue_soft", self.queue_soft != other.queue_soft),
            ("queue_hard", self.queue_hard != other.queue_hard),
            ("tokens_per_day_max", self.tokens_per_day_max != other.tokens_per_day_max),
            ("cost_micros_per_day_max", self.cost_micros_per_day_max != other.cost_micros_per_day_max),
            ("intents", self.intents != other.intents),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }

    /// Whether a job of one intent may be the parent of one of another.
    pub fn delegates(&self, parent: &Intent, child: &Intent) -> bool {
        let allowed = self.intents.get(parent).and_then(|policy| policy.delegations.as_ref());
        allowed.is_none_or(|allowed| allowed.contains(child))
    }
}

/// A project that has settings of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    pub tenant_id: TenantId,
    pub project_id: ProjectId,
    pub settings: Settings,
    /// None where nobody has changed them.
    pub latest: Option<Change>,
}

/// The latest change of a project's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// From 1.
    pub version: i64,
    pub at: Time,
    pub by: ActorId,
}

impl Project {
    /// One that nobody has changed.
    pub fn new(tenant_id: TenantId, project_id: ProjectId) -> Self {
        Self { tenant_id, project_id, settings: Settings::default(), latest: None }
    }

    pub fn version(&self) -> i64 {
        self.latest.as_ref().map_or(0, |change| change.version)
    }
}

/// What a change that is asked for comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    New,
    /// It was made already: the answer was lost.
    Replay,
    Conflict,
}

/// Two calls with the same wish under the same version are one: whoever repeats one finds what it asked for.
pub fn asked(present: &Project, expected_version: i64, settings: &Settings) -> Asked {
    match present.version() {
        version if version == expected_version => Asked::New,
        version if version == expected_version.saturating_add(1) && present.settings == *settings => Asked::Replay,
        _ => Asked::Conflict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(name: &str) -> Intent {
        Intent::parse(name).expect("an intent")
    }

    fn at_version(version: i64, settings: Settings) -> Project {
        let latest = (version > 0).then(|| Change {
            version,
            at: chrono::DateTime::UNIX_EPOCH,
            by: ActorId::parse("olga").expect("an actor"),
        });
        let (tenant_id, project_id) = (TenantId::parse("acme").unwrap(), ProjectId::parse("alpha").unwrap());
        Project { tenant_id, project_id, settings, latest }
    }

    #[test]
    fn a_change_is_made_once_whatever_its_answer() {
        let wish = Settings { weight: Some(7), ..Settings::default() };
        assert_eq!(asked(&at_version(0, Settings::default()), 0, &wish), Asked::New);
        assert_eq!(asked(&at_version(1, wish.clone()), 0, &wish), Asked::Replay);
        assert_eq!(asked(&at_version(1, Settings::default()), 0, &wish), Asked::Conflict);
        assert_eq!(asked(&at_version(2, wish.clone()), 0, &wish), Asked::Conflict);
        assert_eq!(asked(&at_version(1, wish.clone()), 1, &wish), Asked::New);
        assert_eq!(asked(&at_version(0, Settings::default()), i64::MAX, &wish), Asked::Conflict);
    }

    #[test]
    fn an_intent_delegates_what_it_may_and_all_where_nothing_is_said() {
        let mut settings = Settings::default();
        assert!(settings.delegates(&intent("a"), &intent("b")));
        settings.intents.insert(intent("a"), IntentPolicy::default());
        assert!(settings.delegates(&intent("a"), &intent("b")));
        let only_c = IntentPolicy { delegations: Some([intent("c")].into()), ..IntentPolicy::default() };
        settings.intents.insert(intent("a"), only_c);
        assert!(!settings.delegates(&intent("a"), &intent("b")) && settings.delegates(&intent("a"), &intent("c")));
        settings.intents.insert(intent("a"), IntentPolicy { delegations: Some([].into()), ..IntentPolicy::default() });
        assert!(!settings.delegates(&intent("a"), &intent("a")));
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let policy = IntentPolicy {
            tier_floor: Some(Tier::B),
            on_queue_timeout: Some(QueueTimeout::TimeOut),
            delegations: Some([intent("c")].into()),
            ..IntentPolicy::default()
        };
        let settings =
            Settings { running_max: Some(3), intents: [(intent("a"), policy)].into(), ..Settings::default() };
        let kept = serde_json::to_string(&settings).unwrap();
        assert!(kept.contains(r#""tier_floor":"B""#) && kept.contains(r#""on_queue_timeout":"time_out""#), "{kept}");
        assert_eq!(serde_json::from_str::<Settings>(&kept).unwrap(), settings);
    }
}
