//! Tokens that open doors, and tokens that must not.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use holdfast_caller::{
    Role, Tier,
    issuer::{DevIssuer, TokenSpec},
};
use holdfast_ids::{ActorId, Intent, TenantId};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::janitor::Directory;

/// A token that no enforcement point may accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokenToken {
    /// Its hour is over.
    Expired,
    /// Issued further in the future than clocks differ.
    IssuedTomorrow,
    /// Lives for longer than its kind may, whatever `exp` says.
    TooLongLived,
    /// Ours, for somebody else's service.
    WrongAudience,
    WrongIssuer,
    /// Names no tenant.
    NoTenant,
    /// Signed by a key of which nobody has heard.
    ForeignKey,
    /// Signed by such a key under the name of ours.
    ForeignKeyUnderOurName,
    /// HS256 under the public key, which everybody knows.
    SymmetricWithPublicKey,
    /// `alg: none`, without a signature.
    Unsigned,
    /// One claim changed after signing.
    Altered,
    /// Not a token at all.
    Garbage,
}

impl BrokenToken {
    pub const ALL: [Self; 12] = [
        Self::Expired,
        Self::IssuedTomorrow,
        Self::TooLongLived,
        Self::WrongAudience,
        Self::WrongIssuer,
        Self::NoTenant,
        Self::ForeignKey,
        Self::ForeignKeyUnderOurName,
        Self::SymmetricWithPublicKey,
        Self::Unsigned,
        Self::Altered,
        Self::Garbage,
    ];
}

/// An issuer whose key set is in a file, as services read it.
pub struct Tokens {
    issuer: DevIssuer,
    foreign: DevIssuer,
    foreign_key: EncodingKey,
    key_set: PathBuf,
    _directory: Directory,
}

impl Tokens {
    pub fn new() -> Result<Self> {
        let directory = Directory::new("holdfast-keys-")?;
        let (issuer, foreign) = (DevIssuer::generate()?, DevIssuer::generate()?);
        let key_set = issuer.save(&directory)?;
        let elsewhere = directory.join("foreign");
        foreign.save(&elsewhere)?;
        let foreign_key = EncodingKey::from_ec_pem(&private_key(&elsewhere)?)?;
        Ok(Self { issuer, foreign, foreign_key, key_set, _directory: directory })
    }

    pub fn issuer(&self) -> &DevIssuer {
        &self.issuer
    }

    /// The file that a service's configuration names.
    pub fn key_set(&self) -> &Path {
        &self.key_set
    }

    pub fn issue(&self, spec: TokenSpec) -> String {
        self.issuer.issue(spec)
    }

    /// A user with a role in all projects of a tenant.
    pub fn user(&self, name: &str, tenant: &str, role: Role) -> Result<String> {
        Ok(self.issue(TokenSpec::user(ActorId::parse(name)?, TenantId::parse(tenant)?, role)))
    }

    /// A person who may do everything in a tenant.
    pub fn owner(&self, name: &str, tenant: &str) -> Result<String> {
        self.user(name, tenant, Role::Owner)
    }

    /// The same, for no longer than this.
    pub fn brief_owner(&self, name: &str, tenant: &str, lifetime: Duration) -> Result<String> {
        let spec = TokenSpec::user(ActorId::parse(name)?, TenantId::parse(tenant)?, Role::Owner);
        Ok(self.issue(spec.lifetime(lifetime)))
    }

    /// An agent that may ask for the intents, up to tier C.
    pub fn agent(&self, name: &str, tenant: &str, intents: &[&str]) -> Result<String> {
        let intents: Result<Vec<Intent>, _> = intents.iter().map(|intent| Intent::parse(intent)).collect();
        Ok(self.issue(TokenSpec::agent(ActorId::parse(name)?, TenantId::parse(tenant)?, intents?, Tier::C)))
    }

    pub fn service(&self, name: &str, tenant: &str) -> Result<String> {
        Ok(self.issue(TokenSpec::service(ActorId::parse(name)?, TenantId::parse(tenant)?)))
    }

    pub fn worker(&self, name: &str, tenant: &str) -> Result<String> {
        Ok(self.issue(TokenSpec::worker(ActorId::parse(name)?, TenantId::parse(tenant)?)))
    }

    /// What would be a good token but for one thing.
    pub fn broken(&self, how: BrokenToken, spec: TokenSpec) -> Result<String> {
        const HOUR: Duration = Duration::from_secs(3_600);
        let with = |claim: &str, value: Value| {
            let mut claims = self.issuer.claims(spec.clone());
            claims[claim] = value;
            self.issuer.sign(&claims)
        };
        let now = SystemTime::now();
        Ok(match how {
            BrokenToken::Expired => self.issue(TokenSpec { issued_at: now - 2 * HOUR, lifetime: HOUR, ..spec.clone() }),
            BrokenToken::IssuedTomorrow => self.issue(TokenSpec { issued_at: now + 24 * HOUR, ..spec.clone() }),
            BrokenToken::TooLongLived => self.issue(spec.clone().lifetime(9 * HOUR)),
            BrokenToken::WrongAudience => with("aud", json!("another-platform")),
            BrokenToken::WrongIssuer => with("iss", json!("another-issuer")),
            BrokenToken::NoTenant => with("tenant", json!([])),
            BrokenToken::ForeignKey => self.foreign.issue(spec.clone()),
            BrokenToken::ForeignKeyUnderOurName => self.sign_as(Algorithm::ES256, &self.foreign_key, &spec)?,
            BrokenToken::SymmetricWithPublicKey => {
                let public = EncodingKey::from_secret(self.issuer.key_set_json().as_bytes());
                self.sign_as(Algorithm::HS256, &public, &spec)?
            }
            BrokenToken::Unsigned => self.unsigned(&spec),
            BrokenToken::Altered => self.altered(&spec)?,
            BrokenToken::Garbage => "not.a.token".to_owned(),
        })
    }

    fn sign_as(&self, algorithm: Algorithm, key: &EncodingKey, spec: &TokenSpec) -> Result<String> {
        let mut header = Header::new(algorithm);
        header.kid = Some(self.issuer.key_id().to_owned());
        Ok(jsonwebtoken::encode(&header, &self.issuer.claims(spec.clone()), key)?)
    }

    fn unsigned(&self, spec: &TokenSpec) -> String {
        let header = json!({ "alg": "none", "typ": "JWT", "kid": self.issuer.key_id() });
        let [header, claims] = [header, self.issuer.claims(spec.clone())].map(|part| encode(&part));
        format!("{header}.{claims}.")
    }

    fn altered(&self, spec: &TokenSpec) -> Result<String> {
        let token = self.issue(spec.clone());
        let mut parts = token.split('.');
        let (header, _claims, signature) = (parts.next(), parts.next(), parts.next());
        let mut claims = self.issuer.claims(spec.clone());
        claims["sub"] = json!("somebody-else");
        let missing = "a token has three parts";
        Ok(format!("{}.{}.{}", header.context(missing)?, encode(&claims), signature.context(missing)?))
    }
}

fn encode(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

fn private_key(directory: &Path) -> Result<Vec<u8>> {
    let pem = fs::read_dir(directory)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "pem"));
    Ok(fs::read(pem.context("the issuer saved no private key")?)?)
}
