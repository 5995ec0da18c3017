//! The verified caller and what it may reach.

use std::{collections::BTreeSet, time::SystemTime};

use holdfast_fault::{Fault, Reason};
use holdfast_ids::{ActorId, Intent, ProjectId, TenantId};
use serde::{Deserialize, Serialize};

/// What sort of principal a token was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    User,
    Agent,
    Service,
    Worker,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::User, Kind::Agent, Kind::Service, Kind::Worker];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::User => "user",
            Kind::Agent => "agent",
            Kind::Service => "service",
            Kind::Worker => "worker",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Owner,
    Admin,
    ProjectMaintainer,
    InfraApprover,
    Viewer,
}

impl Role {
    pub const ALL: [Role; 5] = [Role::Owner, Role::Admin, Role::ProjectMaintainer, Role::InfraApprover, Role::Viewer];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Admin => "admin",
            Role::ProjectMaintainer => "project-maintainer",
            Role::InfraApprover => "infra-approver",
            Role::Viewer => "viewer",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// Risk tiers, the harmless one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Tier {
    A,
    B,
    C,
}

impl Tier {
    pub const ALL: [Tier; 3] = [Tier::A, Tier::B, Tier::C];

    pub fn as_str(self) -> &'static str {
        match self {
            Tier::A => "A",
            Tier::B => "B",
            Tier::C => "C",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == text)
    }
}

/// The projects of the caller's tenants that it may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Projects {
    All,
    Some(BTreeSet<ProjectId>),
}

impl Projects {
    pub fn contains(&self, project: &ProjectId) -> bool {
        match self {
            Projects::All => true,
            Projects::Some(projects) => projects.contains(project),
        }
    }
}

/// A principal whose token held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// On whose behalf: `sub` of the token. Ledgers and histories are kept under this name.
    pub actor: ActorId,
    /// Who presents the token: the service named by the `act` claim where it acts for a user, the actor otherwise.
    pub subject: ActorId,
    pub kind: Kind,
    pub roles: BTreeSet<Role>,
    pub projects: Projects,
    /// Sorted, without duplicates, at least one.
    pub tenants: Vec<TenantId>,
    pub session_id: String,
    pub jti: String,
    pub issued_at: SystemTime,
    pub expires_at: SystemTime,
    /// Agents only: what they may submit. None is no limit.
    pub intents: Option<BTreeSet<Intent>>,
    /// Agents only: the highest tier they may submit. None is no limit.
    pub max_tier: Option<Tier>,
}

impl Caller {
    /// Whether a service presents this token on behalf of a user.
    pub fn is_delegated(&self) -> bool {
        self.actor != self.subject
    }

    pub fn has_any_role(&self, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.roles.contains(role))
    }

    /// The tenant of a caller that has exactly one.
    pub fn sole_tenant(&self) -> Option<&TenantId> {
        match self.tenants.as_slice() {
            [tenant] => Some(tenant),
            _ => None,
        }
    }

    pub fn require_tenant(&self, tenant: &TenantId) -> Result<(), Fault> {
        within(self.tenants.binary_search(tenant).is_ok(), "tenant")
    }

    pub fn require_project(&self, project: &ProjectId) -> Result<(), Fault> {
        within(self.projects.contains(project), "project")
    }

    pub fn require_intent(&self, intent: &Intent) -> Result<(), Fault> {
        within(self.intents.as_ref().is_none_or(|intents| intents.contains(intent)), "intent")
    }

    pub fn require_tier(&self, tier: Tier) -> Result<(), Fault> {
        within(self.max_tier.is_none_or(|max_tier| tier <= max_tier), "risk tier")
    }
}

/// Says nothing of what was asked for: what is another's is refused as what is nobody's.
fn within(scope: bool, what: &'static str) -> Result<(), Fault> {
    if scope { Ok(()) } else { Err(Fault::new(Reason::Auth403Scope, format!("the token is not for this {what}"))) }
}
