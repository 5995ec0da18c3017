//! Claims of a token, and the rules that make a [`Caller`] of them.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use holdfast_fault::{Fault, Reason};
use holdfast_ids::{ActorId, Intent, ProjectId, TenantId};
use serde::{Deserialize, Serialize};

use crate::{
    principal::{Caller, Kind, Projects, Role, Tier},
    revocation::TokenRef,
};

/// How far the issuer's clock may run ahead of ours.
pub(crate) const ISSUED_AHEAD_MAX: Duration = Duration::from_secs(120);
const LIFETIME_MAX: Duration = Duration::from_secs(8 * 3600);
const LIFETIME_MAX_AGENT: Duration = Duration::from_secs(4 * 3600);
/// Lists in a token are bounded like every repeated field.
const ELEMENTS_MAX: usize = 1000;

/// Why a token is refused. The text is for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token is not a signed JSON web token")]
    Malformed,
    #[error("the token is larger than 16 KiB")]
    TooLarge,
    #[error("the token is not signed by a known key")]
    UnknownKey,
    #[error("the token's algorithm is not the one of its key")]
    Algorithm,
    #[error("the token's signature does not hold")]
    Signature,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYet,
    #[error("the token was issued in the future")]
    IssuedAhead,
    #[error("the token is valid for longer than its kind may be")]
    LongLived,
    #[error("the token is from another issuer")]
    Issuer,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token has no claim {0}")]
    Missing(&'static str),
    #[error("the token's claim {0} is not as it must be")]
    Invalid(&'static str),
    #[error("the token is revoked")]
    Revoked,
    #[error("whether the token is revoked cannot be known now")]
    RevocationUnknown,
}

impl From<TokenError> for Fault {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::RevocationUnknown => Fault::dependency_down("token_blocklist", error),
            other => Fault::new(Reason::Auth401InvalidToken, other.to_string()).caused_by(other),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn as_slice(&self) -> &[String] {
        match self {
            OneOrMany::One(one) => std::slice::from_ref(one),
            OneOrMany::Many(many) => many,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Act {
    pub(crate) sub: String,
}

/// The claims as they stand in the token. All optional, so that a refusal can name the one that is absent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Claims {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<OneOrMany>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) project_scope: Option<OneOrMany>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) aud: Option<OneOrMany>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) iat: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nbf: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<OneOrMany>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) act: Option<Act>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) intents: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_tier: Option<String>,
}

impl Claims {
    pub(crate) fn token_ref(&self) -> Result<TokenRef<'_>, TokenError> {
        Ok(TokenRef {
            jti: text(&self.jti, "jti")?,
            session_id: text(&self.session_id, "session_id")?,
            subject: text(&self.sub, "sub")?,
        })
    }

    pub(crate) fn into_caller(self, issuer: &str, audience: &str, now: SystemTime) -> Result<Caller, TokenError> {
        if text(&self.iss, "iss")? != issuer {
            return Err(TokenError::Issuer);
        }
        let audiences = self.aud.as_ref().ok_or(TokenError::Missing("aud"))?;
        if !audiences.as_slice().iter().any(|aud| aud == audience) {
            return Err(TokenError::Audience);
        }
        let kind = Kind::parse(text(&self.kind, "kind")?).ok_or(TokenError::Invalid("kind"))?;
        let (issued_at, expires_at) = self.times(kind, now)?;
        let actor = ActorId::parse(text(&self.sub, "sub")?).map_err(|_| TokenError::Invalid("sub"))?;
        let subject = self.subject(kind, &actor)?;
        Ok(Caller {
            subject,
            kind,
            roles: self.roles(kind)?,
            projects: self.projects()?,
            tenants: self.tenants()?,
            session_id: text(&self.session_id, "session_id")?.to_owned(),
            jti: text(&self.jti, "jti")?.to_owned(),
            issued_at,
            expires_at,
            intents: self.intents(kind)?,
            max_tier: self.max_tier(kind)?,
            actor,
        })
    }

    fn times(&self, kind: Kind, now: SystemTime) -> Result<(SystemTime, SystemTime), TokenError> {
        let issued_at = moment(self.iat, "iat")?;
        let expires_at = moment(self.exp, "exp")?;
        if expires_at <= now {
            return Err(TokenError::Expired);
        }
        if issued_at > now + ISSUED_AHEAD_MAX {
            return Err(TokenError::IssuedAhead);
        }
        if self.nbf.is_some() && moment(self.nbf, "nbf")? > now + ISSUED_AHEAD_MAX {
            return Err(TokenError::NotYet);
        }
        let lifetime_max = if kind == Kind::Agent { LIFETIME_MAX_AGENT } else { LIFETIME_MAX };
        let lifetime = expires_at.duration_since(issued_at).map_err(|_| TokenError::Invalid("exp"))?;
        if lifetime > lifetime_max {
            return Err(TokenError::LongLived);
        }
        Ok((issued_at, expires_at))
    }

    fn subject(&self, kind: Kind, actor: &ActorId) -> Result<ActorId, TokenError> {
        match &self.act {
            None => Ok(actor.clone()),
            Some(act) if kind == Kind::Service => ActorId::parse(&act.sub).map_err(|_| TokenError::Invalid("act")),
            Some(_) => Err(TokenError::Invalid("act")),
        }
    }

    /// Roles are a person's: they must be told where a person acts, directly or through a service. A role that this
    /// version does not know grants nothing.
    fn roles(&self, kind: Kind) -> Result<BTreeSet<Role>, TokenError> {
        match &self.role {
            Some(roles) => Ok(roles.as_slice().iter().filter_map(|role| Role::parse(role)).collect()),
            None if kind == Kind::User || self.act.is_some() => Err(TokenError::Missing("role")),
            None => Ok(BTreeSet::new()),
        }
    }

    fn projects(&self) -> Result<Projects, TokenError> {
        const CLAIM: &str = "project_scope";
        match self.project_scope.as_ref().ok_or(TokenError::Missing(CLAIM))? {
            OneOrMany::One(star) if star == "*" => Ok(Projects::All),
            OneOrMany::One(_) => Err(TokenError::Invalid(CLAIM)),
            OneOrMany::Many(ids) => Ok(Projects::Some(parsed(ids, CLAIM, ProjectId::parse)?)),
        }
    }

    fn tenants(&self) -> Result<Vec<TenantId>, TokenError> {
        const CLAIM: &str = "tenant";
        let ids = self.tenant.as_ref().ok_or(TokenError::Missing(CLAIM))?.as_slice();
        let tenants = parsed(ids, CLAIM, TenantId::parse)?;
        if tenants.is_empty() { Err(TokenError::Missing(CLAIM)) } else { Ok(tenants.into_iter().collect()) }
    }

    fn intents(&self, kind: Kind) -> Result<Option<BTreeSet<Intent>>, TokenError> {
        const CLAIM: &str = "intents";
        match (agents_only(kind, self.intents.as_ref(), CLAIM))? {
            Some(intents) => parsed(intents, CLAIM, Intent::parse).map(Some),
            None => Ok(None),
        }
    }

    fn max_tier(&self, kind: Kind) -> Result<Option<Tier>, TokenError> {
        const CLAIM: &str = "max_tier";
        match agents_only(kind, self.max_tier.as_ref(), CLAIM)? {
            Some(tier) => Tier::parse(tier).map(Some).ok_or(TokenError::Invalid(CLAIM)),
            None => Ok(None),
        }
    }
}

/// A limit that agents must carry. On any other kind it would be a limit that nobody enforces, so it is refused there.
fn agents_only<T>(kind: Kind, claim: Option<T>, name: &'static str) -> Result<Option<T>, TokenError> {
    match (kind, claim) {
        (Kind::Agent, None) => Err(TokenError::Missing(name)),
        (Kind::Agent, claim) => Ok(claim),
        (_, None) => Ok(None),
        (_, Some(_)) => Err(TokenError::Invalid(name)),
    }
}

fn text<'a>(claim: &'a Option<String>, name: &'static str) -> Result<&'a str, TokenError> {
    claim.as_deref().filter(|text| !text.is_empty()).ok_or(TokenError::Missing(name))
}

fn moment(claim: Option<u64>, name: &'static str) -> Result<SystemTime, TokenError> {
    let seconds = claim.ok_or(TokenError::Missing(name))?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).ok_or(TokenError::Invalid(name))
}

fn parsed<T: Ord, E>(
    texts: &[String],
    claim: &'static str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<BTreeSet<T>, TokenError> {
    if texts.len() > ELEMENTS_MAX {
        return Err(TokenError::Invalid(claim));
    }
    texts.iter().map(|text| parse(text).map_err(|_| TokenError::Invalid(claim))).collect()
}
