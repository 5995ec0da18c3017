//! What background tasks ask and do, as the task role: over all tenants, on named tables.

use std::time::Duration;

use holdfast_ids::{LeaseId, LockClass, TenantId};
use holdfast_pg::Tx;
use sqlx::postgres::types::PgInterval;
use uuid::Uuid;

use super::StoreError;
use super::renew::RenewedLease;
use super::rows::{corrupt, resources};
use crate::domain::order::{Class, Order};

/// Leases that are held and stale.
pub async fn leases_stale(tx: &mut Tx, leases_max: i64) -> Result<Vec<(LeaseId, TenantId)>, StoreError> {
    let rows = sqlx::query_file!("src/store/queries/leases_stale.sql", leases_max).fetch_all(&mut **tx).await?;
    rows.into_iter()
        .map(|row| {
            let tenant_id = TenantId::parse(&row.tenant_id).map_err(|_| corrupt("lock_leases", "tenant_id"))?;
            Ok((LeaseId::from_uuid(row.lease_id), tenant_id))
        })
        .collect()
}

/// Leases that are held, by their ids, behind `after`.
pub async fn leases_held(
    tx: &mut Tx,
    after: Option<LeaseId>,
    leases_max: i64,
) -> Result<Vec<RenewedLease>, StoreError> {
    let after = after.map_or(Uuid::nil(), |lease_id| lease_id.as_uuid());
    let rows = sqlx::query_file!("src/store/queries/leases_held.sql", after, leases_max).fetch_all(&mut **tx).await?;
    rows.into_iter()
        .map(|row| {
            Ok(RenewedLease {
                lease_id: LeaseId::from_uuid(row.lease_id),
                tenant_id: TenantId::parse(&row.tenant_id).map_err(|_| corrupt("lock_leases", "tenant_id"))?,
                resources: resources(&row.project_ids, &row.classes, &row.resource_keys)?,
                fences: row.fences,
                expires_at: row.expires_at,
                stale_at: row.stale_at,
                renewals: row.renewals,
                renewals_max: row.renewals_max,
            })
        })
        .collect()
}

/// The registry of the order in which classes are taken.
pub async fn registry(tx: &mut Tx) -> Result<Order, StoreError> {
    let rows = sqlx::query_file!("src/store/queries/registry.sql").fetch_all(&mut **tx).await?;
    let classes = rows.into_iter().map(|row| {
        let name = LockClass::parse(&row.class).map_err(|_| corrupt("lock_classes", "class"))?;
        Ok(Class { name, rank: row.rank, description: row.description })
    });
    Ok(Order::new(classes.collect::<Result<_, StoreError>>()?))
}

/// Makes missing partitions; answers how many.
pub async fn partitions_ensure(tx: &mut Tx, weeks_ahead: i32) -> Result<i32, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT locks.ensure_partitions($1) AS "made!""#, weeks_ahead)
        .fetch_one(&mut **tx)
        .await?)
}

/// For how many weeks, from this one to `weeks_ahead`, the journal has no partition.
pub async fn partitions_missing(tx: &mut Tx, weeks_ahead: i32) -> Result<i64, StoreError> {
    Ok(sqlx::query_file_scalar!("src/store/queries/partitions_missing.sql", weeks_ahead).fetch_one(&mut **tx).await?)
}

/// Moves the outbox ring on where it is time; answers the current slot, or None where no slot is free.
pub async fn outbox_ring_advance(tx: &mut Tx, slot_age: Duration, keep: Duration) -> Result<Option<i16>, StoreError> {
    let interval = |duration: Duration| PgInterval { months: 0, days: 0, microseconds: duration.as_micros() as i64 };
    Ok(sqlx::query_scalar!("SELECT locks.outbox_ring_advance($1, $2)", interval(slot_age), interval(keep))
        .fetch_one(&mut **tx)
        .await?)
}

/// How many events wait for a relay, counted up to `count_max`.
pub async fn outbox_pending(tx: &mut Tx, count_max: i64) -> Result<i64, StoreError> {
    Ok(sqlx::query_file_scalar!("src/store/queries/outbox_pending.sql", count_max).fetch_one(&mut **tx).await?)
}
