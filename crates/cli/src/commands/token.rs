//! `holdfast token`: the development issuer.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use clap::ValueEnum;
use holdfast_caller::{
    Kind, Projects, Role, Tier,
    issuer::{DevIssuer, TokenSpec},
};
use holdfast_ids::{ActorId, Intent, ProjectId, TenantId};
use serde_json::json;

use super::values::TierArg;
use crate::{
    dev::{Layout, TENANT},
    exit::{Exit, UsageError},
    output::{Format, Table, print},
};

/// Make a development token.
///
/// Prints a token signed by the development key in --dir. The key is made by `holdfast up`.
#[derive(Debug, clap::Args)]
pub(crate) struct TokenArgs {
    /// Principal the token is for.
    #[arg(long, default_value = "dev")]
    sub: ActorId,
    #[arg(long, value_enum, default_value = "user")]
    kind: KindArg,
    /// Tenant it may act in; may be repeated.
    #[arg(long = "tenant", default_value = TENANT)]
    tenants: Vec<TenantId>,
    /// Role of a user; may be repeated. Users are owners where none is given.
    #[arg(long = "role", value_enum)]
    roles: Vec<RoleArg>,
    /// Project it reaches; may be repeated. All where none is given.
    #[arg(long = "project")]
    projects: Vec<ProjectId>,
    /// Intent an agent may submit; may be repeated.
    #[arg(long = "intent")]
    intents: Vec<Intent>,
    /// Highest tier an agent may submit.
    #[arg(long, value_enum)]
    max_tier: Option<TierArg>,
    /// Service that acts for the principal.
    #[arg(long)]
    act: Option<ActorId>,
    /// Lifetime in seconds; services refuse more than 8 h, agents' more than 4 h.
    #[arg(long, default_value_t = 3600)]
    ttl: u64,
    /// Directory of the development stack.
    #[arg(long, env = "HOLDFAST_DIR", default_value = ".holdfast", value_name = "PATH")]
    dir: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum KindArg {
    User,
    Agent,
    Service,
    Worker,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleArg {
    Owner,
    Admin,
    ProjectMaintainer,
    InfraApprover,
    Viewer,
}

impl TokenArgs {
    pub(crate) fn run(self, format: Format) -> anyhow::Result<Exit> {
        let keys = Layout::at(&self.dir)?.keys();
        let issuer = DevIssuer::load(&keys)
            .map_err(|error| UsageError(format!("no development key ({error}); `holdfast up` makes one")))?;
        let spec = self.spec();
        let summary = json!({
            "sub": spec.actor.as_str(),
            "kind": spec.kind.as_str(),
            "issuer": issuer.issuer,
            "audience": issuer.audience,
            "expires_in_s": spec.lifetime.as_secs(),
        });
        let token = issuer.issue(spec);
        let mut document = summary;
        document["token"] = token.as_str().into();
        print(format, &document, || {
            let mut table = Table::fields();
            table.row([token]);
            table
        })?;
        Ok(Exit::Ok)
    }

    fn spec(self) -> TokenSpec {
        let kind = self.kind.into();
        let mut roles: BTreeSet<Role> = self.roles.into_iter().map(Role::from).collect();
        if roles.is_empty() && self.kind == KindArg::User {
            roles.insert(Role::Owner);
        }
        let projects =
            if self.projects.is_empty() { Projects::All } else { Projects::Some(self.projects.into_iter().collect()) };
        let tenant = self.tenants[0].clone();
        TokenSpec {
            tenants: self.tenants,
            projects,
            roles,
            act: self.act,
            intents: (!self.intents.is_empty()).then_some(self.intents),
            max_tier: self.max_tier.map(Tier::from),
            lifetime: Duration::from_secs(self.ttl),
            ..TokenSpec::new(kind, self.sub, tenant)
        }
    }
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::User => Self::User,
            KindArg::Agent => Self::Agent,
            KindArg::Service => Self::Service,
            KindArg::Worker => Self::Worker,
        }
    }
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Owner => Self::Owner,
            RoleArg::Admin => Self::Admin,
            RoleArg::ProjectMaintainer => Self::ProjectMaintainer,
            RoleArg::InfraApprover => Self::InfraApprover,
            RoleArg::Viewer => Self::Viewer,
        }
    }
}
