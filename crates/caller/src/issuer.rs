//! A development issuer: signs tokens on one machine, for the CLI, tests and benchmarks.
//!
//! The private key is a file that only its owner may read. Nothing outside development should trust it, and no service
//! does unless its configuration names the key set written here.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use holdfast_ids::{ActorId, Intent, ProjectId, RequestId, TenantId};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header,
    jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash},
};

use crate::{
    claims::{Act, Claims, OneOrMany},
    principal::{Kind, Projects, Role, Tier},
};

pub const ISSUER: &str = "holdfast-dev";
pub const AUDIENCE: &str = "holdfast";
const KEY_FILE: &str = "signing-key.pem";
const KEY_SET_FILE: &str = "jwks.json";

#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    #[error("{path}: {error}")]
    Io { path: PathBuf, error: io::Error },
    #[error("{path} is not a P-256 private key in PKCS #8: {error}")]
    Key { path: PathBuf, error: jsonwebtoken::errors::Error },
    #[error("no key pair could be made")]
    Generate,
}

/// An ES256 key pair with the name it signs under.
#[derive(Clone)]
pub struct DevIssuer {
    pub issuer: String,
    pub audience: String,
    pem: String,
    key: EncodingKey,
    public: Jwk,
}

impl DevIssuer {
    pub fn generate() -> Result<Self, IssuerError> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| IssuerError::Generate)?;
        Self::from_pem(pem(pkcs8.as_ref())).map_err(|_| IssuerError::Generate)
    }

    /// Reads the key pair that [`save`](Self::save) wrote into `dir`.
    pub fn load(dir: &Path) -> Result<Self, IssuerError> {
        let path = dir.join(KEY_FILE);
        let pem = fs::read_to_string(&path).map_err(io_error(&path))?;
        Self::from_pem(pem).map_err(|error| IssuerError::Key { path, error })
    }

    /// Reads the key pair in `dir`, or makes one there.
    pub fn load_or_generate(dir: &Path) -> Result<Self, IssuerError> {
        match Self::load(dir) {
            Err(IssuerError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                let issuer = Self::generate()?;
                issuer.save(dir)?;
                Ok(issuer)
            }
            other => other,
        }
    }

    /// Writes the private key and the key set into `dir` and returns the key set's path.
    pub fn save(&self, dir: &Path) -> Result<PathBuf, IssuerError> {
        fs::create_dir_all(dir).map_err(io_error(dir))?;
        replace(&dir.join(KEY_FILE), self.pem.as_bytes(), 0o600)?;
        let key_set = Self::key_set_path(dir);
        replace(&key_set, self.key_set_json().as_bytes(), 0o644)?;
        Ok(key_set)
    }

    pub fn key_set_path(dir: &Path) -> PathBuf {
        dir.join(KEY_SET_FILE)
    }

    /// The public half, as services read it.
    pub fn key_set_json(&self) -> String {
        let set = JwkSet { keys: vec![self.public.clone()] };
        serde_json::to_string_pretty(&set).expect("a key set is plain JSON")
    }

    pub fn key_id(&self) -> &str {
        self.public.common.key_id.as_deref().unwrap_or_default()
    }

    pub fn issue(&self, spec: TokenSpec) -> String {
        let claims = spec.into_claims(&self.issuer, &self.audience);
        self.sign(&serde_json::to_value(claims).expect("claims are plain JSON"))
    }

    /// The claims that [`issue`](Self::issue) would sign, to be bent by a test.
    pub fn claims(&self, spec: TokenSpec) -> serde_json::Value {
        serde_json::to_value(spec.into_claims(&self.issuer, &self.audience)).expect("claims are plain JSON")
    }

    /// Signs any claims.
    pub fn sign(&self, claims: &serde_json::Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = self.public.common.key_id.clone();
        jsonwebtoken::encode(&header, claims, &self.key).expect("the key was read as a P-256 pair when it was loaded")
    }

    fn from_pem(pem: String) -> Result<Self, jsonwebtoken::errors::Error> {
        let key = EncodingKey::from_ec_pem(pem.as_bytes())?;
        let mut public = Jwk::from_encoding_key(&key, Algorithm::ES256)?;
        public.common.key_id = Some(public.thumbprint(ThumbprintHash::SHA256)?);
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { issuer: ISSUER.to_owned(), audience: AUDIENCE.to_owned(), pem, key, public })
    }
}

/// What a token is to say.
#[derive(Debug, Clone)]
pub struct TokenSpec {
    pub actor: ActorId,
    pub kind: Kind,
    pub tenants: Vec<TenantId>,
    pub projects: Projects,
    pub roles: BTreeSet<Role>,
    /// The service that acts for the actor.
    pub act: Option<ActorId>,
    pub intents: Option<Vec<Intent>>,
    pub max_tier: Option<Tier>,
    pub issued_at: SystemTime,
    pub lifetime: Duration,
}

impl TokenSpec {
    /// A token for one tenant and all of its projects, for an hour. Agents need [`agent`](Self::agent).
    pub fn new(kind: Kind, actor: ActorId, tenant: TenantId) -> Self {
        Self {
            actor,
            kind,
            tenants: vec![tenant],
            projects: Projects::All,
            roles: BTreeSet::new(),
            act: None,
            intents: None,
            max_tier: None,
            issued_at: SystemTime::now(),
            lifetime: Duration::from_secs(3600),
        }
    }

    pub fn user(actor: ActorId, tenant: TenantId, role: Role) -> Self {
        Self { roles: BTreeSet::from([role]), ..Self::new(Kind::User, actor, tenant) }
    }

    pub fn agent(actor: ActorId, tenant: TenantId, intents: Vec<Intent>, max_tier: Tier) -> Self {
        Self { intents: Some(intents), max_tier: Some(max_tier), ..Self::new(Kind::Agent, actor, tenant) }
    }

    pub fn service(actor: ActorId, tenant: TenantId) -> Self {
        Self::new(Kind::Service, actor, tenant)
    }

    pub fn worker(actor: ActorId, tenant: TenantId) -> Self {
        Self::new(Kind::Worker, actor, tenant)
    }

    #[must_use]
    pub fn tenants(mut self, tenants: impl IntoIterator<Item = TenantId>) -> Self {
        self.tenants = tenants.into_iter().collect();
        self
    }

    #[must_use]
    pub fn projects(mut self, projects: impl IntoIterator<Item = ProjectId>) -> Self {
        self.projects = Projects::Some(projects.into_iter().collect());
        self
    }

    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    fn into_claims(self, issuer: &str, audience: &str) -> Claims {
        let many = |texts: Vec<String>| Some(OneOrMany::Many(texts));
        Claims {
            sub: Some(self.actor.to_string()),
            role: many(self.roles.iter().map(|role| role.as_str().to_owned()).collect()),
            project_scope: match self.projects {
                Projects::All => Some(OneOrMany::One("*".to_owned())),
                Projects::Some(ids) => many(ids.iter().map(ProjectId::to_string).collect()),
            },
            session_id: Some(RequestId::new().to_string()),
            iss: Some(issuer.to_owned()),
            aud: Some(OneOrMany::One(audience.to_owned())),
            exp: Some(seconds(self.issued_at + self.lifetime)),
            iat: Some(seconds(self.issued_at)),
            nbf: None,
            jti: Some(RequestId::new().to_string()),
            tenant: many(self.tenants.iter().map(TenantId::to_string).collect()),
            kind: Some(self.kind.as_str().to_owned()),
            act: self.act.map(|act| Act { sub: act.to_string() }),
            intents: self.intents.map(|intents| intents.iter().map(Intent::to_string).collect()),
            max_tier: self.max_tier.map(|tier| tier.as_str().to_owned()),
        }
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn pem(pkcs8: &[u8]) -> String {
    let base64 = STANDARD.encode(pkcs8);
    let mut text = String::from("-----BEGIN PRIVATE KEY-----\n");
    for line in base64.as_bytes().chunks(64) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    text
}

/// Written beside and renamed over, so that a reader finds the old file or the new one and nothing between.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), IssuerError> {
    let beside = path.with_extension("new");
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(io_error(path))
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> IssuerError {
    let path = path.to_owned();
    move |error| IssuerError::Io { path, error }
}
