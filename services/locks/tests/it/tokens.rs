//! Tokens only ever grow.

use anyhow::{Context as _, Result};

use crate::asks::{Ask, release, token};
use crate::support::{World, run, tenant};

#[test]
fn tokens_grow_over_restarts_and_over_lost_rows() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant_id = tenant();
        let api = world.service("agent", &tenant_id);
        let first = Ask::for_one("main").lease(&api).await?;
        release(&api, &first).await?;
        let second = Ask::for_one("main").lease(&api.over(&world.another_instance().await?)).await?;
        assert!(token(&second) > token(&first));
        release(&api, &second).await?;
        // What a restored backup, or a failover that lost the last grants, does to the row.
        sqlx::query("UPDATE locks.lock_heads SET fence = 1 WHERE tenant_id = $1")
            .bind(tenant_id.as_str())
            .execute(world.db.admin())
            .await?;
        let third = Ask::for_one("main").lease(&api).await.context("after the row went back")?;
        assert!(token(&third) > token(&second));
        release(&api, &third).await?;
        sqlx::query("DELETE FROM locks.lock_heads WHERE tenant_id = $1")
            .bind(tenant_id.as_str())
            .execute(world.db.admin())
            .await?;
        let fourth = Ask::for_one("main").lease(&api).await.context("after the row was lost")?;
        assert!(token(&fourth) > token(&third));
        Ok(())
    })
}
