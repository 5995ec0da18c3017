//! What background tasks ask and do, as the task role: over all tenants, on named tables.

use std::time::Duration;

use holdfast_pg::Tx;
use sqlx::postgres::types::PgInterval;

use super::StoreError;
use super::transitions::LockedIds;

/// Locks jobs whose lease ran out.
pub async fn leases_expired_lock(tx: &mut Tx, jobs_max: i64) -> Result<LockedIds, StoreError> {
    let rows = sqlx::query_file!("src/store/queries/leases_expired.sql", jobs_max).fetch_all(&mut **tx).await?;
    let (job_ids, tenant_ids) = rows.into_iter().map(|row| (row.job_id, row.tenant_id)).unzip();
    Ok(LockedIds { job_ids, tenant_ids })
}

/// Locks jobs that wait, for a worker, their time or what blocks them, and are as old as a job may become.
pub async fn jobs_outlived_lock(tx: &mut Tx, max_age: Duration, jobs_max: i64) -> Result<LockedIds, StoreError> {
    let max_age_ms = max_age.as_millis() as i64;
    let rows =
        sqlx::query_file!("src/store/queries/jobs_outlived.sql", max_age_ms, jobs_max).fetch_all(&mut **tx).await?;
    let (job_ids, tenant_ids) = rows.into_iter().map(|row| (row.job_id, row.tenant_id)).unzip();
    Ok(LockedIds { job_ids, tenant_ids })
}

/// Moves jobs whose back-off or run_after is over into the queue; answers how many.
pub async fn delayed_promote_if_due(tx: &mut Tx, jobs_max: i64) -> Result<u64, StoreError> {
    Ok(sqlx::query_file!("src/store/queries/delayed_promote.sql", jobs_max).execute(&mut **tx).await?.rows_affected())
}

/// Makes missing partitions; answers how many.
pub async fn partitions_ensure(tx: &mut Tx, weeks_ahead: i32) -> Result<i32, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT jobs.ensure_partitions($1) AS "made!""#, weeks_ahead).fetch_one(&mut **tx).await?)
}

/// Moves the outbox ring on where it is time; answers the current slot, or None where no slot is free.
pub async fn outbox_ring_advance(tx: &mut Tx, slot_age: Duration, keep: Duration) -> Result<Option<i16>, StoreError> {
    let interval = |duration: Duration| PgInterval { months: 0, days: 0, microseconds: duration.as_micros() as i64 };
    Ok(sqlx::query_scalar!("SELECT jobs.outbox_ring_advance($1, $2)", interval(slot_age), interval(keep))
        .fetch_one(&mut **tx)
        .await?)
}

/// How many events wait for a relay, counted up to `count_max`.
pub async fn outbox_pending(tx: &mut Tx, count_max: i64) -> Result<i64, StoreError> {
    Ok(sqlx::query_file_scalar!("src/store/queries/outbox_pending.sql", count_max).fetch_one(&mut **tx).await?)
}
