//! Good tokens are good and broken ones are not, by the verifier that the services use.

use anyhow::Result;
use holdfast_caller::{KeySource, Kind, Role, Verifier, VerifierConfig, issuer, issuer::TokenSpec};
use holdfast_ids::{ActorId, TenantId};
use holdfast_testkit::{BrokenToken, Tokens};

async fn verifier(tokens: &Tokens) -> Result<Verifier> {
    let keys = KeySource::File(tokens.key_set().to_owned());
    let config = VerifierConfig { issuer: issuer::ISSUER.into(), audience: issuer::AUDIENCE.into(), keys };
    Ok(Verifier::new(config).await?)
}

#[tokio::test]
async fn every_kind_is_issued() -> Result<()> {
    let tokens = Tokens::new()?;
    let verifier = verifier(&tokens).await?;
    for (token, kind) in [
        (tokens.user("ada", "acme", Role::Owner)?, Kind::User),
        (tokens.agent("agent-1", "acme", &["repo.digest"])?, Kind::Agent),
        (tokens.service("gateway", "acme")?, Kind::Service),
        (tokens.worker("worker-1", "acme")?, Kind::Worker),
    ] {
        let caller = verifier.verify(&token).await?;
        assert_eq!((caller.kind, caller.tenants[0].as_str()), (kind, "acme"));
    }
    Ok(())
}

#[tokio::test]
async fn every_broken_token_is_refused() -> Result<()> {
    let tokens = Tokens::new()?;
    let verifier = verifier(&tokens).await?;
    let spec = TokenSpec::user(ActorId::parse("ada")?, TenantId::parse("acme")?, Role::Owner);
    verifier.verify(&tokens.issue(spec.clone())).await?;
    for how in BrokenToken::ALL {
        let refused = verifier.verify(&tokens.broken(how, spec.clone())?).await.err();
        assert_eq!(refused.map(|fault| fault.wire_name()), Some("AUTH_401_INVALID_TOKEN"), "{how:?}");
    }
    Ok(())
}
