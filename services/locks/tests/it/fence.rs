//! Whether a token is the current one.

use std::time::{Duration, Instant};

use anyhow::Result;
use holdfast_events::unpack;
use holdfast_proto::events::v1::LockFenceRejected;

use crate::asks::{Ask, release, resource, token};
use crate::support::*;

fn check(key: &str, fencing_token: u64) -> pb::CheckFenceRequest {
    pb::CheckFenceRequest { tenant_id: String::new(), resource: Some(resource("project", key)), fencing_token }
}

#[test]
fn a_token_is_current_while_its_lease_holds_and_never_again() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        let first = Ask::for_one("main").lease(&api).await?;
        let answer = api.check_fence(check("main", token(&first))).await?;
        assert!(answer.current && answer.highest_token == token(&first));
        let higher = api.check_fence(check("main", token(&first) + 1)).await?;
        assert!(!higher.current, "one that was never given");
        release(&api, &first).await?;
        let answer = api.check_fence(check("main", token(&first))).await?;
        assert!(!answer.current && answer.highest_token == token(&first));
        let second = Ask::for_one("main").lease(&api).await?;
        let answer = api.check_fence(check("main", token(&first))).await?;
        assert!(!answer.current && answer.highest_token == token(&second));
        assert!(api.check_fence(check("main", token(&second))).await?.current);
        Ok(())
    })
}

#[test]
fn a_token_is_not_current_once_its_lease_has_expired_stale_or_not() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        // Stale after 45 s.
        let lease = Ask::for_one("main").ttl_s(1).lease(&api).await?;
        assert!(api.check_fence(check("main", token(&lease))).await?.current);
        let expired =
            || async { api.check_fence(check("main", token(&lease))).await.is_ok_and(|answer| !answer.current) };
        eventually(expired, SOON).await?;
        assert_eq!(api.check_fence(check("main", token(&lease))).await?.highest_token, token(&lease));
        Ok(())
    })
}

#[test]
fn what_was_never_locked_has_no_token_and_nothing_is_kept_of_it() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let answer = world.service("agent", &tenant).check_fence(check("never", 7)).await?;
        assert!(!answer.current && answer.highest_token == 0);
        let heads = "SELECT count(*) FROM locks.lock_heads WHERE tenant_id = $1";
        let heads: i64 = sqlx::query_scalar(heads).bind(tenant.as_str()).fetch_one(world.db.admin()).await?;
        assert_eq!(heads, 0);
        Ok(())
    })
}

#[test]
fn a_flood_of_stale_tokens_is_told_of_once_a_second() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let other = world.another_instance().await?;
        let tenant = tenant();
        let api = world.service("agent", &tenant);
        let lease = Ask::for_one("main").lease(&api).await?;
        let began = Instant::now();
        let floods = [api.clone(), api.over(&other)].map(|api| async move {
            for _ in 0..100 {
                assert!(!api.check_fence(check("main", 1)).await?.current);
            }
            anyhow::Ok(())
        });
        futures::future::try_join_all(floods).await?;
        let seconds = began.elapsed().as_secs() + 1;
        let events = rows::events(world.db.admin(), &format!("{tenant}/team/project/main")).await?;
        let rejected: Vec<LockFenceRejected> = events.iter().filter_map(|event| unpack(event).ok()).collect();
        assert!((1..=seconds).contains(&(rejected.len() as u64)), "{} within {seconds} s", rejected.len());
        let told = &rejected[0];
        assert_eq!((told.presented_token, told.highest_token), (1, token(&lease)));
        assert_eq!((told.class.as_str(), told.key.as_str()), ("project", "main"));
        assert!(events.iter().all(|event| event.trace_id.len() == 32));
        let again = || async {
            api.check_fence(check("main", 1)).await?;
            let events = rows::events(world.db.admin(), &format!("{tenant}/team/project/main")).await?;
            anyhow::ensure!(events.len() > rejected.len() + 1, "not told again yet");
            anyhow::Ok(())
        };
        eventually(again, Duration::from_secs(20)).await
    })
}
