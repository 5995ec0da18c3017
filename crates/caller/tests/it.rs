use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use holdfast_caller::{
    KeyError, KeySource, Kind, Revocations, Role, Standing, Tier, TokenError, TokenRef, Verifier, VerifierConfig,
    bearer_token,
    issuer::{AUDIENCE, DevIssuer, ISSUER, TokenSpec},
};
use holdfast_fault::{Fault, Reason};
use holdfast_ids::{ActorId, Intent, ProjectId, TenantId};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3600);

struct House {
    issuer: DevIssuer,
    verifier: Verifier,
    dir: TempDir,
}

async fn house() -> House {
    let dir = TempDir::new().unwrap();
    let issuer = DevIssuer::generate().unwrap();
    issuer.save(dir.path()).unwrap();
    let verifier = Verifier::new(config(dir.path())).await.unwrap();
    House { issuer, verifier, dir }
}

fn config(dir: &std::path::Path) -> VerifierConfig {
    VerifierConfig {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        keys: KeySource::File(DevIssuer::key_set_path(dir)),
    }
}

impl House {
    async fn refusal(&self, token: &str) -> TokenError {
        self.verifier.verify_at(token, SystemTime::now()).await.expect_err("the token should be refused")
    }

    /// A good token but for what `bend` does to its claims.
    async fn refusal_of(&self, spec: TokenSpec, bend: impl FnOnce(&mut Value)) -> TokenError {
        let mut claims = self.issuer.claims(spec);
        bend(&mut claims);
        self.refusal(&self.issuer.sign(&claims)).await
    }
}

fn actor(name: &str) -> ActorId {
    ActorId::parse(name).unwrap()
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn intent(name: &str) -> Intent {
    Intent::parse(name).unwrap()
}

fn user() -> TokenSpec {
    TokenSpec::user(actor("jane"), tenant("acme"), Role::Viewer)
}

fn agent() -> TokenSpec {
    TokenSpec::agent(actor("agent-7"), tenant("acme"), vec![intent("repo.digest")], Tier::B)
}

fn service() -> TokenSpec {
    TokenSpec::service(actor("gateway"), tenant("acme"))
}

fn worker() -> TokenSpec {
    TokenSpec::worker(actor("worker"), tenant("acme"))
}

fn with_header(token: &str, header: &Value) -> String {
    let (_, rest) = token.split_once('.').unwrap();
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
}

#[tokio::test]
async fn a_good_token_becomes_its_caller() {
    let house = house().await;
    let spec = user()
        .tenants([tenant("zebra"), tenant("acme"), tenant("zebra")])
        .projects([ProjectId::parse("alpha").unwrap()]);
    let token = house.issuer.issue(spec);
    let caller = house.verifier.verify(&token).await.unwrap();

    assert_eq!((caller.actor.as_str(), caller.kind), ("jane", Kind::User));
    assert_eq!(caller.tenants, [tenant("acme"), tenant("zebra")]);
    assert!(caller.has_any_role(&[Role::Owner, Role::Viewer]) && !caller.has_any_role(&[Role::Owner]));
    assert!(caller.sole_tenant().is_none());
    assert!(caller.require_tenant(&tenant("acme")).is_ok());
    assert_eq!(caller.require_tenant(&tenant("other")).unwrap_err().reason, Reason::Auth403Scope);
    assert!(caller.require_project(&ProjectId::parse("alpha").unwrap()).is_ok());
    assert_eq!(caller.require_project(&ProjectId::parse("beta").unwrap()).unwrap_err().reason, Reason::Auth403Scope);
    assert!(caller.require_intent(&intent("anything")).is_ok(), "only agents are bound to intents");
    assert!(Arc::ptr_eq(&caller, &house.verifier.verify(&token).await.unwrap()), "the second time is from memory");
}

#[tokio::test]
async fn an_agent_is_bound_to_its_intents_and_tier() {
    let house = house().await;
    let caller = house.verifier.verify(&house.issuer.issue(agent())).await.unwrap();
    assert!(caller.require_intent(&intent("repo.digest")).is_ok());
    assert_eq!(caller.require_intent(&intent("repo.delete")).unwrap_err().reason, Reason::Auth403Scope);
    assert!(caller.require_tier(Tier::A).is_ok() && caller.require_tier(Tier::B).is_ok());
    assert_eq!(caller.require_tier(Tier::C).unwrap_err().reason, Reason::Auth403Scope);

    for claim in ["intents", "max_tier"] {
        let refusal = house.refusal_of(agent(), |claims| drop(claims.as_object_mut().unwrap().remove(claim))).await;
        assert_eq!(refusal, TokenError::Missing(claim));
    }
    let misplaced = house.refusal_of(user(), |claims| claims["max_tier"] = json!("A")).await;
    assert_eq!(misplaced, TokenError::Invalid("max_tier"));
    let unknown = house.refusal_of(agent(), |claims| claims["max_tier"] = json!("D")).await;
    assert_eq!(unknown, TokenError::Invalid("max_tier"));
}

#[tokio::test]
async fn a_service_acts_for_a_user_who_is_the_actor() {
    let house = house().await;
    let spec = TokenSpec {
        act: Some(actor("gateway")),
        roles: [Role::Viewer].into(),
        ..TokenSpec::service(actor("jane"), tenant("acme"))
    };
    let caller = house.verifier.verify(&house.issuer.issue(spec.clone())).await.unwrap();
    assert_eq!((caller.actor.as_str(), caller.subject.as_str()), ("jane", "gateway"));
    assert!(caller.is_delegated());

    let without_role = house.refusal_of(spec, |claims| drop(claims.as_object_mut().unwrap().remove("role"))).await;
    assert_eq!(without_role, TokenError::Missing("role"));
    let by_a_worker = house.refusal_of(worker(), |claims| claims["act"] = json!({"sub": "x"})).await;
    assert_eq!(by_a_worker, TokenError::Invalid("act"));
}

#[tokio::test]
async fn what_is_not_a_token_is_refused() {
    let house = house().await;
    for garbage in ["", "x", "a.b.c", "....", "\u{0}"] {
        assert_eq!(house.refusal(garbage).await, TokenError::Malformed, "{garbage:?}");
    }
    assert_eq!(house.refusal(&"x".repeat(16 * 1024 + 1)).await, TokenError::TooLarge);
    let fault: Fault = house.verifier.verify("x").await.unwrap_err();
    assert_eq!((fault.reason, fault.retryable()), (Reason::Auth401InvalidToken, false));
}

#[tokio::test]
async fn a_foreign_key_is_refused() {
    let house = house().await;
    let stranger = DevIssuer::generate().unwrap();
    let token = stranger.issue(user());
    assert_eq!(house.refusal(&token).await, TokenError::UnknownKey);
    // The stranger borrows the name of a key that we know.
    let borrowed = with_header(&token, &json!({"alg": "ES256", "kid": house.issuer.key_id()}));
    assert_eq!(house.refusal(&borrowed).await, TokenError::Signature);
    let nameless = with_header(&token, &json!({"alg": "ES256"}));
    assert_eq!(house.refusal(&nameless).await, TokenError::UnknownKey);
}

#[tokio::test]
async fn the_algorithm_is_the_keys_and_not_the_headers() {
    let house = house().await;
    let good = house.issuer.issue(user());
    let kid = house.issuer.key_id();
    for algorithm in ["ES384", "RS256", "RS512", "PS256", "EdDSA", "HS256", "HS512"] {
        let token = with_header(&good, &json!({"alg": algorithm, "kid": kid}));
        assert_eq!(house.refusal(&token).await, TokenError::Algorithm, "{algorithm}");
    }
    for algorithm in ["none", "None", ""] {
        let token = with_header(&good, &json!({"alg": algorithm, "kid": kid}));
        assert_eq!(house.refusal(&token).await, TokenError::Malformed, "{algorithm}");
        let (unsigned, _) = token.rsplit_once('.').unwrap();
        assert_eq!(house.refusal(&format!("{unsigned}.")).await, TokenError::Malformed, "{algorithm}, unsigned");
    }
}

#[tokio::test]
async fn a_public_key_is_no_shared_secret() {
    let house = house().await;
    let claims = house.issuer.claims(user());
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some(house.issuer.key_id().to_owned());
    let secret = EncodingKey::from_secret(house.issuer.key_set_json().as_bytes());
    let token = jsonwebtoken::encode(&header, &claims, &secret).unwrap();
    assert_eq!(house.refusal(&token).await, TokenError::Algorithm);
}

#[tokio::test]
async fn a_changed_payload_breaks_the_signature() {
    let house = house().await;
    let viewer = house.issuer.issue(user());
    let mut claims = house.issuer.claims(user());
    claims["role"] = json!(["owner"]);
    let owner = house.issuer.sign(&claims);
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (viewer, owner) = (parts(&viewer), parts(&owner));
    let spliced = format!("{}.{}.{}", viewer[0], owner[1], viewer[2]);
    assert_eq!(house.refusal(&spliced).await, TokenError::Signature);
}

#[tokio::test]
async fn times_are_checked() {
    let house = house().await;
    let now = SystemTime::now();
    let expired = TokenSpec { issued_at: now - HOUR * 2, lifetime: HOUR, ..user() };
    assert_eq!(house.refusal(&house.issuer.issue(expired)).await, TokenError::Expired);

    let ahead = TokenSpec { issued_at: now + Duration::from_secs(130), ..user() };
    assert_eq!(house.refusal(&house.issuer.issue(ahead)).await, TokenError::IssuedAhead);
    let slightly = TokenSpec { issued_at: now + Duration::from_secs(110), ..user() };
    assert!(house.verifier.verify(&house.issuer.issue(slightly)).await.is_ok());

    let later = house.refusal_of(user(), |claims| claims["nbf"] = json!(claims["exp"].as_u64().unwrap() - 1)).await;
    assert_eq!(later, TokenError::NotYet);
    let backwards = TokenSpec { issued_at: now + Duration::from_secs(100), ..user() };
    let backwards =
        house.refusal_of(backwards, |claims| claims["exp"] = json!(claims["iat"].as_u64().unwrap() - 50)).await;
    assert_eq!(backwards, TokenError::Invalid("exp"));
    let endless = house.refusal_of(user(), |claims| claims["exp"] = json!(u64::MAX)).await;
    assert!(matches!(endless, TokenError::Invalid("exp") | TokenError::LongLived));
}

#[tokio::test]
async fn lifetimes_are_capped_by_kind() {
    let house = house().await;
    for (spec, cap) in [(user(), HOUR * 8), (service(), HOUR * 8), (worker(), HOUR * 8), (agent(), HOUR * 4)] {
        let at_the_cap = house.issuer.issue(spec.clone().lifetime(cap));
        assert!(house.verifier.verify(&at_the_cap).await.is_ok(), "{:?}", spec.kind);
        let beyond = house.issuer.issue(spec.clone().lifetime(cap + Duration::from_secs(1)));
        assert_eq!(house.refusal(&beyond).await, TokenError::LongLived, "{:?}", spec.kind);
    }
}

#[tokio::test]
async fn a_remembered_token_expires_too() {
    let house = house().await;
    let token = house.issuer.issue(user());
    let now = SystemTime::now();
    assert!(house.verifier.verify_at(&token, now).await.is_ok());
    assert_eq!(house.verifier.verify_at(&token, now + HOUR).await.unwrap_err(), TokenError::Expired);
}

#[tokio::test]
async fn issuer_and_audience_are_ours() {
    let house = house().await;
    assert_eq!(house.refusal_of(user(), |claims| claims["iss"] = json!("elsewhere")).await, TokenError::Issuer);
    assert_eq!(house.refusal_of(user(), |claims| claims["aud"] = json!("elsewhere")).await, TokenError::Audience);
    assert_eq!(house.refusal_of(user(), |claims| claims["aud"] = json!([])).await, TokenError::Audience);
    let mut claims = house.issuer.claims(user());
    claims["aud"] = json!(["elsewhere", AUDIENCE]);
    assert!(house.verifier.verify(&house.issuer.sign(&claims)).await.is_ok());
}

#[tokio::test]
async fn every_claim_is_required() {
    let house = house().await;
    for claim in ["sub", "role", "project_scope", "session_id", "iss", "aud", "exp", "iat", "jti", "tenant", "kind"] {
        let refusal = house.refusal_of(user(), |claims| drop(claims.as_object_mut().unwrap().remove(claim))).await;
        assert_eq!(refusal, TokenError::Missing(claim));
    }
    for claim in ["sub", "session_id", "iss", "jti", "kind"] {
        assert_eq!(house.refusal_of(user(), |claims| claims[claim] = json!("")).await, TokenError::Missing(claim));
        assert_eq!(house.refusal_of(user(), |claims| claims[claim] = json!(7)).await, TokenError::Malformed);
    }
    assert_eq!(house.refusal_of(user(), |claims| claims["tenant"] = json!([])).await, TokenError::Missing("tenant"));
}

#[tokio::test]
async fn malformed_claims_are_refused_by_name() {
    let house = house().await;
    for (claim, value) in [
        ("kind", json!("robot")),
        ("sub", json!("jane doe")),
        ("tenant", json!("*")),
        ("tenant", json!(["acme", "a,b"])),
        ("tenant", json!((0..1001).map(|n| format!("t{n}")).collect::<Vec<_>>())),
        ("project_scope", json!("alpha")),
        ("project_scope", json!(["*"])),
    ] {
        assert_eq!(house.refusal_of(user(), |claims| claims[claim] = value).await, TokenError::Invalid(claim));
    }
}

#[tokio::test]
async fn an_unknown_role_grants_nothing() {
    let house = house().await;
    let mut claims = house.issuer.claims(user());
    claims["role"] = json!("emperor");
    let caller = house.verifier.verify(&house.issuer.sign(&claims)).await.unwrap();
    assert!(!caller.has_any_role(&Role::ALL));
}

#[tokio::test]
async fn keys_rotate_with_their_file() {
    let house = house().await;
    let old = house.issuer.issue(user());
    assert!(house.verifier.verify(&old).await.is_ok());

    let successor = DevIssuer::generate().unwrap();
    successor.save(house.dir.path()).unwrap();
    assert!(house.verifier.verify(&successor.issue(user())).await.is_ok(), "an unknown key id makes it look again");
    assert_eq!(house.refusal(&old).await, TokenError::UnknownKey, "the removed key takes its remembered tokens along");

    fs::write(DevIssuer::key_set_path(house.dir.path()), "{}").unwrap();
    let stranger = DevIssuer::generate().unwrap();
    assert_eq!(house.refusal(&stranger.issue(user())).await, TokenError::UnknownKey);
    assert!(house.verifier.verify(&successor.issue(user())).await.is_ok(), "the last good set stays");
}

#[tokio::test]
async fn keys_come_from_a_url_as_well() {
    let issuer = DevIssuer::generate().unwrap();
    let body = issuer.key_set_json();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let fetched = Arc::new(AtomicUsize::new(0));
    let count = fetched.clone();
    let serve = axum::routing::get(move || {
        count.fetch_add(1, Ordering::Relaxed);
        async move { body }
    });
    let server = tokio::spawn(async { axum::serve(listener, axum::Router::new().route("/jwks.json", serve)).await });

    let config = VerifierConfig { issuer: ISSUER.into(), audience: AUDIENCE.into(), keys: KeySource::Url(url) };
    let verifier = Verifier::new(config.clone()).await.unwrap();
    assert!(verifier.verify(&issuer.issue(user())).await.is_ok());
    for _ in 0..10 {
        let stranger = DevIssuer::generate().unwrap();
        assert!(verifier.verify(&stranger.issue(user())).await.is_err());
    }
    assert_eq!(fetched.load(Ordering::Relaxed), 1, "strangers do not make us ask the issuer again and again");
    server.abort();
    let _ = server.await;
    assert!(matches!(Verifier::new(config).await, Err(KeyError::Fetch { .. })));
}

#[tokio::test]
async fn a_set_without_signature_keys_is_no_key_set() {
    let dir = TempDir::new().unwrap();
    let path = DevIssuer::key_set_path(dir.path());
    let error = async |body: &str| {
        fs::write(&path, body).unwrap();
        Verifier::new(config(dir.path())).await.err().expect("no verifier without keys")
    };
    assert!(matches!(error("not json").await, KeyError::Json(_)));
    assert!(matches!(error(r#"{"keys":[]}"#).await, KeyError::Empty));
    let shared = r#"{"keys":[{"kty":"oct","kid":"a","alg":"HS256","k":"c2VjcmV0"}]}"#;
    assert!(matches!(error(shared).await, KeyError::Empty));
    let issuer = DevIssuer::generate().unwrap();
    let mut set: Value = serde_json::from_str(&issuer.key_set_json()).unwrap();
    let key = set["keys"][0].clone();
    set["keys"].as_array_mut().unwrap().push(key);
    assert!(matches!(error(&set.to_string()).await, KeyError::Duplicate { .. }));
    set["keys"].as_array_mut().unwrap().pop();
    set["keys"][0]["use"] = json!("enc");
    assert!(matches!(error(&set.to_string()).await, KeyError::Empty));
    fs::remove_file(&path).unwrap();
    assert!(matches!(Verifier::new(config(dir.path())).await, Err(KeyError::File { .. })));
}

struct Feed(Arc<std::sync::Mutex<Standing>>);

impl Revocations for Feed {
    fn standing(&self, _token: TokenRef<'_>) -> Standing {
        *self.0.lock().unwrap()
    }
}

/// Remembers whom it was asked about.
#[derive(Clone, Default)]
struct Asked(Arc<std::sync::Mutex<Vec<String>>>);

impl Revocations for Asked {
    fn standing(&self, token: TokenRef<'_>) -> Standing {
        self.0.lock().unwrap().push(token.subject.to_owned());
        Standing::Good
    }
}

#[tokio::test]
async fn a_remembered_token_is_asked_about_as_a_new_one() {
    let dir = TempDir::new().unwrap();
    let issuer = DevIssuer::generate().unwrap();
    issuer.save(dir.path()).unwrap();
    let asked = Asked::default();
    let verifier = Verifier::with_revocations(config(dir.path()), asked.clone()).await.unwrap();
    let spec = TokenSpec {
        act: Some(actor("gateway")),
        roles: [Role::Viewer].into(),
        ..TokenSpec::service(actor("jane"), tenant("acme"))
    };
    let token = issuer.issue(spec);
    for _ in 0..2 {
        verifier.verify(&token).await.unwrap();
    }
    assert_eq!(*asked.0.lock().unwrap(), ["jane", "jane"]);
}

#[tokio::test]
async fn revocation_is_asked_first_and_on_every_call() {
    let dir = TempDir::new().unwrap();
    let issuer = DevIssuer::generate().unwrap();
    issuer.save(dir.path()).unwrap();
    let standing = Arc::new(std::sync::Mutex::new(Standing::Good));
    let verifier = Verifier::with_revocations(config(dir.path()), Feed(standing.clone())).await.unwrap();
    let token = issuer.issue(user());
    assert!(verifier.verify(&token).await.is_ok());

    *standing.lock().unwrap() = Standing::Revoked;
    assert_eq!(verifier.verify(&token).await.unwrap_err().reason, Reason::Auth401InvalidToken);
    let stranger = DevIssuer::generate().unwrap();
    assert_eq!(
        verifier.verify_at(&stranger.issue(user()), SystemTime::now()).await.unwrap_err(),
        TokenError::Revoked,
        "before the signature"
    );

    *standing.lock().unwrap() = Standing::Unknown;
    let fault = verifier.verify(&token).await.unwrap_err();
    assert_eq!(fault.reason, Reason::Infra503DependencyDown);
    assert_eq!(fault.metadata["component"], "token_blocklist");
}

#[tokio::test]
async fn the_key_pair_survives_on_disk_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let house = house().await;
    let mode = fs::metadata(house.dir.path().join("signing-key.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = DevIssuer::load_or_generate(house.dir.path()).unwrap();
    assert_eq!(again.key_id(), house.issuer.key_id());
    assert!(house.verifier.verify(&again.issue(user())).await.is_ok());
}

#[test]
fn the_bearer_scheme_is_told_apart() {
    assert_eq!(bearer_token("Bearer abc"), Some("abc"));
    assert_eq!(bearer_token("bearer abc"), Some("abc"));
    for bad in ["", "Bearer", "Bearer ", "Basic abc", "abc"] {
        assert_eq!(bearer_token(bad), None, "{bad:?}");
    }
}
