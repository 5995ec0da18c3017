use std::time::Duration;

use holdfast_events::SHARDS;
use holdfast_pg::DbError;

use super::{Store, shard, smallint};
use crate::domain::lease::Lease;

impl Store {
    /// Says that this relay is alive and publishes the source, and answers how many do.
    pub async fn member_heartbeat(&self, holder: &str, ttl: Duration) -> Result<u64, DbError> {
        let source = self.source.name();
        let beat = sqlx::query_file!("src/store/queries/member_heartbeat.sql", holder, source, ttl.as_secs_f64());
        let count = sqlx::query_file_scalar!("src/store/queries/members_alive.sql", source);
        let alive = self.db.run(async |connection| {
            beat.execute(&mut *connection).await?;
            count.fetch_one(connection).await
        });
        Ok(alive.await?.max(1) as u64)
    }

    pub async fn members_forget_dead(&self) -> Result<(), DbError> {
        let query = sqlx::query_file!("src/store/queries/members_forget_dead.sql");
        self.db.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }

    /// No longer counts this relay among those that publish the source.
    pub async fn member_leave(&self, holder: &str) -> Result<(), DbError> {
        let query = sqlx::query_file!("src/store/queries/member_leave.sql", holder, self.source.name());
        self.db.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }

    /// Prolongs what this relay still holds, and answers what that is.
    pub async fn leases_renew(&self, holder: &str, ttl: Duration) -> Result<Vec<Lease>, DbError> {
        let query =
            sqlx::query_file!("src/store/queries/leases_renew.sql", self.source.name(), holder, ttl.as_secs_f64());
        let renewed = self.db.run(async |connection| query.fetch_all(connection).await).await?;
        Ok(renewed.into_iter().map(|row| Lease { shard: shard(row.shard), epoch: row.epoch }).collect())
    }

    /// Takes up to `count` shards that nobody holds, each under a new epoch. None if there was nothing to take; fewer, or an
    /// empty list, if another relay was first.
    pub async fn leases_take(&self, holder: &str, ttl: Duration, count: usize) -> Result<Option<Vec<Lease>>, DbError> {
        let every: Vec<i16> = (0..SHARDS).map(smallint).collect();
        let query = sqlx::query_file!(
            "src/store/queries/leases_take.sql",
            self.source.name(),
            holder,
            ttl.as_secs_f64(),
            &every,
            count as i64
        );
        let free = self.db.run(async |connection| query.fetch_all(connection).await).await?;
        if free.is_empty() {
            return Ok(None);
        }
        let taken = free.into_iter().filter_map(|row| Some(Lease { shard: shard(row.shard), epoch: row.epoch? }));
        Ok(Some(taken.collect()))
    }

    pub async fn leases_release(&self, holder: &str, leases: &[Lease]) -> Result<(), DbError> {
        let shards: Vec<i16> = leases.iter().map(|lease| smallint(lease.shard)).collect();
        let epochs: Vec<i64> = leases.iter().map(|lease| lease.epoch).collect();
        let query =
            sqlx::query_file!("src/store/queries/leases_release.sql", self.source.name(), holder, &shards, &epochs);
        self.db.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }

    /// What this relay holds, by the database's clock.
    pub async fn leases_held(&self, holder: &str) -> Result<Vec<Lease>, DbError> {
        let query = sqlx::query_file!("src/store/queries/leases_held.sql", self.source.name(), holder);
        let held = self.db.run(async |connection| query.fetch_all(connection).await).await?;
        Ok(held.into_iter().map(|row| Lease { shard: shard(row.shard), epoch: row.epoch }).collect())
    }
}
