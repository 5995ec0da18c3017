//! Keys for work of one's own.

use std::time::Duration;

use anyhow::Result;
use holdfast_client::{IdempotencyKey, KeyScope, Reason, Reservation, json, pb::KeyState};

use crate::support::{INTENT, PROJECT, Site, run};

const LEASE: Duration = Duration::from_secs(30);

#[test]
fn a_key_is_reserved_once_and_its_outcome_is_everybodys() -> Result<()> {
    run(async {
        let site = Site::patient().await?;
        let keys = site.service()?.keys();
        let scope = KeyScope::new(PROJECT, INTENT, IdempotencyKey::random());
        let request = json(&"transfer 10")?;

        let Reservation::Granted(grant) = keys.reserve(&scope, request.clone(), LEASE).await? else {
            anyhow::bail!("it was free");
        };
        assert!(!grant.earlier_outcome_unknown && grant.window_end.is_some());
        let second = keys.reserve(&scope, request.clone(), LEASE).await?;
        assert!(matches!(second, Reservation::InProgress { lease_expires_at: Some(_) }), "{second:?}");
        assert_eq!(keys.get(&scope).await?.state(), KeyState::Reserved);

        assert!(!keys.complete(&scope, grant.token, json(&"receipt 7")?).await?);
        assert!(keys.complete(&scope, grant.token, json(&"receipt 7")?).await?, "repeated");
        let Reservation::Completed { outcome, .. } = keys.reserve(&scope, request, LEASE).await? else {
            anyhow::bail!("it was completed");
        };
        assert_eq!(outcome, json(&"receipt 7")?);

        let error = keys.complete(&scope, grant.token + 1, json(&"receipt 8")?).await.unwrap_err();
        assert!(error.is(Reason::Idempotency409StaleToken), "{error:?}");
        let error = keys.reserve(&scope, json(&"transfer 11")?, LEASE).await.unwrap_err();
        assert!(error.is(Reason::Job409IdempotencyConflict), "{error:?}");
        let unknown = KeyScope::new(PROJECT, INTENT, IdempotencyKey::random());
        assert!(keys.get(&unknown).await.unwrap_err().is(Reason::Idempotency404NotFound));
        Ok(())
    })
}
