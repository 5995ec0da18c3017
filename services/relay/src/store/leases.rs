use std::time::Duration;

use holdfast_events::SHARDS;
use holdfast_pg::DbError;

use super::{SOURCE, Store, shard, smallint};
use crate::domain::lease::Lease;

impl Store {
    /// Says that this relay is alive, and answers how many are.
    pub async fn member_heartbeat(&self, holder: &str, ttl: Duration) -> Result<u64, DbError> {
        let pool = self.db.pool();
        sqlx::query_file!("src/store/queries/member_heartbeat.sql", holder, ttl.as_secs_f64()).execute(pool).await?;
        let alive = sqlx::query_file_scalar!("src/store/queries/members_alive.sql").fetch_one(pool).await?;
        Ok(alive.max(1) as u64)
    }

    pub async fn members_forget_dead(&self) -> Result<(), DbError> {
        sqlx::query_file!("src/store/queries/members_forget_dead.sql").execute(self.db.pool()).await?;
        Ok(())
    }

    pub async fn member_leave(&self, holder: &str) -> Result<(), DbError> {
        sqlx::query_file!("src/store/queries/member_leave.sql", holder).execute(self.db.pool()).await?;
        Ok(())
    }

    /// Prolongs what this relay still holds, and answers what that is.
    pub async fn leases_renew(&self, holder: &str, ttl: Duration) -> Result<Vec<Lease>, DbError> {
        let renewed = sqlx::query_file!("src/store/queries/leases_renew.sql", SOURCE, holder, ttl.as_secs_f64())
            .fetch_all(self.db.pool())
            .await?;
        Ok(renewed.into_iter().map(|row| Lease { shard: shard(row.shard), epoch: row.epoch }).collect())
    }

    /// Takes up to `count` shards that nobody holds, each under a new epoch.
    pub async fn leases_take(&self, holder: &str, ttl: Duration, count: usize) -> Result<Vec<Lease>, DbError> {
        let every: Vec<i16> = (0..SHARDS).map(smallint).collect();
        let taken = sqlx::query_file!(
            "src/store/queries/leases_take.sql",
            SOURCE,
            holder,
            ttl.as_secs_f64(),
            &every,
            count as i64
        )
        .fetch_all(self.db.pool())
        .await?;
        Ok(taken.into_iter().map(|row| Lease { shard: shard(row.shard), epoch: row.epoch }).collect())
    }

    pub async fn leases_release(&self, holder: &str, leases: &[Lease]) -> Result<(), DbError> {
        let shards: Vec<i16> = leases.iter().map(|lease| smallint(lease.shard)).collect();
        let epochs: Vec<i64> = leases.iter().map(|lease| lease.epoch).collect();
        sqlx::query_file!("src/store/queries/leases_release.sql", SOURCE, holder, &shards, &epochs)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }

    /// What this relay holds, by the database's clock.
    pub async fn leases_held(&self, holder: &str) -> Result<Vec<Lease>, DbError> {
        let held =
            sqlx::query_file!("src/store/queries/leases_held.sql", SOURCE, holder).fetch_all(self.db.pool()).await?;
        Ok(held.into_iter().map(|row| Lease { shard: shard(row.shard), epoch: row.epoch }).collect())
    }
}
