//! What holds work back beside other jobs: kill switches, and an outage of policy, in which nobody can know whether one is on.

use std::fmt;

use holdfast_ids::{ActorId, Intent, ProjectId, TenantId};

use super::job::{Facts, Job, State, Tier, Time};
use super::submission::Submission;
use super::transition::{self, Entry, Move, Said, Transition};

named! {
    /// What a switch stops.
    Scope {
        /// Everything.
        Global = "global",
        Project = "project",
        /// What one principal submitted.
        Agent = "agent",
        /// Of one tenant, or of all.
        Intent = "intent",
    }
}

/// Which work a kill switch stops.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Switch {
    pub scope: Scope,
    /// None: of all tenants.
    pub tenant_id: Option<TenantId>,
    /// Empty where all is meant.
    pub target: String,
}

impl Switch {
    /// None where the three do not go together: projects and principals are always some tenant's, the global switch nobody's.
    pub fn new(scope: Scope, tenant_id: &str, target: &str) -> Option<Self> {
        let of_tenant = TenantId::parse(tenant_id).ok();
        let is_named = match scope {
            Scope::Global => tenant_id.is_empty() && target.is_empty(),
            Scope::Project => of_tenant.is_some() && ProjectId::parse(target).is_ok(),
            Scope::Agent => of_tenant.is_some() && ActorId::parse(target).is_ok(),
            Scope::Intent => (of_tenant.is_some() || tenant_id.is_empty()) && Intent::parse(target).is_ok(),
        };
        is_named.then(|| Self { scope, tenant_id: of_tenant, target: target.to_owned() })
    }

    pub fn covers(&self, work: &Work<'_>) -> bool {
        self.tenant_id.as_ref().is_none_or(|tenant_id| tenant_id == work.tenant_id)
            && match self.scope {
                Scope::Global => true,
                Scope::Project => self.target == work.project_id.as_str(),
                Scope::Agent => self.target == work.actor_id.as_str(),
                Scope::Intent => self.target == work.intent.as_str(),
            }
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope {
            Scope::Global => f.write_str("kill_switch:global"),
            scope => write!(f, "kill_switch:{}:{}", scope.as_str(), self.target),
        }
    }
}

/// What of a job decides whether it is held.
#[derive(Debug, Clone, Copy)]
pub struct Work<'a> {
    pub tenant_id: &'a TenantId,
    pub project_id: &'a ProjectId,
    pub intent: &'a Intent,
    pub actor_id: &'a ActorId,
    pub tier: Tier,
}

impl<'a> From<&'a Facts> for Work<'a> {
    fn from(facts: &'a Facts) -> Self {
        let Facts { tenant_id, project_id, intent, actor_id, tier, .. } = facts;
        Self { tenant_id, project_id, intent, actor_id, tier: *tier }
    }
}

impl<'a> From<&'a Submission> for Work<'a> {
    fn from(submission: &'a Submission) -> Self {
        let scope = &submission.scope;
        Self {
            tenant_id: &scope.tenant_id,
            project_id: &scope.project_id,
            intent: &scope.intent,
            actor_id: &scope.actor_id,
            tier: submission.tier,
        }
    }
}

/// One thing that holds a job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hold {
    KillSwitch(Switch),
    /// Policy is away.
    Policy,
}

impl Hold {
    /// As callers see it.
    pub fn name(&self) -> String {
        match self {
            Self::KillSwitch(switch) => switch.to_string(),
            Self::Policy => "policy".to_owned(),
        }
    }

    /// Whose switch it is; empty for the platform's.
    pub fn of_tenant(&self) -> &str {
        match self {
            Self::KillSwitch(Switch { tenant_id: Some(tenant_id), .. }) => tenant_id.as_str(),
            Self::KillSwitch(_) | Self::Policy => "",
        }
    }

    fn is_switch(&self) -> bool {
        matches!(self, Self::KillSwitch(_))
    }
}

/// Who moves what is held, in the history.
pub fn actor(holds: &[Hold]) -> &'static str {
    if holds.iter().any(Hold::is_switch) { "system:kill_switch" } else { "system:policy" }
}

/// Who lets it go on.
pub const RESUMED_BY: &str = "system:policy";

/// queued -> blocked; retrying -> blocked, while policy is away; running, retrying -> cancelled, by a kill switch. None where
/// the job may stay as it is: what has begun goes on while policy is away.
pub fn stop(job: Job, holds: &[Hold], now: Time) -> Option<Transition> {
    let by = holds.iter().map(Hold::name).collect::<Vec<_>>().join(", ");
    let is_switched_off = holds.iter().any(Hold::is_switch);
    match &job.state {
        State::Queued => {}
        State::Retrying { .. } | State::Running(_) if is_switched_off => {
            return transition::stop(job, format!("stopped by {by}"), now).ok();
        }
        State::Retrying { .. } if !holds.is_empty() => {}
        _ => return None,
    }
    if holds.is_empty() {
        return None;
    }
    let said = Said::Blocked { entry: Entry::Held, by: Vec::new(), held_by: holds.to_vec() };
    Some(Move::of(job, now).to(State::Blocked, said, format!("held by {by}")))
}

/// blocked -> queued, waiting_human_decision: nothing holds it any more. People are not asked again about a job that waited for
/// a worker before.
pub fn resume(job: Job, was_queued: bool, now: Time) -> Option<Transition> {
    if job.state != State::Blocked {
        return None;
    }
    let entry = Entry::Unblocked;
    let (state, said) = if was_queued {
        (State::Queued, Said::Queued { entry })
    } else {
        transition::waits(&job.facts, &job.progressed, entry, now)
    };
    Some(Move::of(job, now).to(state, said, "nothing holds it any more".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_names_what_its_scope_asks_for() {
        use Scope::{Agent, Global, Intent, Project};
        for (scope, tenant, target, is_one) in [
            (Global, "", "", true),
            (Global, "acme", "", false),
            (Global, "", "alpha", false),
            (Project, "acme", "alpha", true),
            (Project, "", "alpha", false),
            (Project, "acme", "", false),
            (Agent, "acme", "alice", true),
            (Agent, "", "alice", false),
            (Intent, "acme", "repo.digest", true),
            (Intent, "", "repo.digest", true),
            (Intent, "no tenant", "repo.digest", false),
            (Intent, "", "", false),
        ] {
            assert_eq!(Switch::new(scope, tenant, target).is_some(), is_one, "{scope:?} {tenant:?} {target:?}");
        }
    }

    #[test]
    fn a_switch_covers_its_own_work_and_no_other() {
        let (acme, other) = (TenantId::parse("acme").unwrap(), TenantId::parse("other").unwrap());
        let (alpha, beta) = (ProjectId::parse("alpha").unwrap(), ProjectId::parse("beta").unwrap());
        let (alice, bob) = (ActorId::parse("alice").unwrap(), ActorId::parse("bob").unwrap());
        let (digest, build) = (Intent::parse("repo.digest").unwrap(), Intent::parse("repo.build").unwrap());
        let own = Work { tenant_id: &acme, project_id: &alpha, intent: &digest, actor_id: &alice, tier: Tier::A };
        let elsewhere = [
            Work { tenant_id: &other, ..own },
            Work { project_id: &beta, ..own },
            Work { actor_id: &bob, ..own },
            Work { intent: &build, ..own },
        ];
        for (scope, tenant, target, covered) in [
            (Scope::Global, "", "", [true, true, true, true]),
            (Scope::Project, "acme", "alpha", [false, false, true, true]),
            (Scope::Agent, "acme", "alice", [false, true, false, true]),
            (Scope::Intent, "acme", "repo.digest", [false, true, true, false]),
            (Scope::Intent, "", "repo.digest", [true, true, true, false]),
        ] {
            let switch = Switch::new(scope, tenant, target).unwrap();
            assert!(switch.covers(&own), "{switch}");
            assert_eq!(elsewhere.map(|work| switch.covers(&work)), covered, "{switch}");
        }
    }
}
