//! Instances that are alive, and who waits through them. As the task role.

use std::time::Duration;

use holdfast_ids::{InstanceId, LeaseId, TenantId};
use holdfast_pg::Tx;
use uuid::Uuid;

use super::StoreError;
use super::rows::corrupt;

/// A sign of life: from the database's clock on, for as long as `ttl`.
pub async fn instance_beat(tx: &mut Tx, instance_id: InstanceId, ttl: Duration) -> Result<(), StoreError> {
    let ttl_ms = ttl.as_millis() as i64;
    sqlx::query_file!("src/store/queries/instance_beat.sql", instance_id.as_uuid(), ttl_ms).execute(&mut **tx).await?;
    Ok(())
}

/// A wait through an instance.
#[derive(Debug)]
pub struct Wait {
    pub lease_id: LeaseId,
    pub tenant_id: TenantId,
    /// The call that it waits for.
    pub call_id: Uuid,
    /// It is first in line for what nobody has, or somebody has had for too long.
    pub is_ready: bool,
}

/// All waits through an instance. One that does not `judge` takes every instance for alive.
pub async fn waiters_look(tx: &mut Tx, instance_id: InstanceId, judges: bool) -> Result<Vec<Wait>, StoreError> {
    let query = sqlx::query_file!("src/store/queries/waiters_look.sql", instance_id.as_uuid(), judges);
    let rows = query.fetch_all(&mut **tx).await?;
    rows.into_iter()
        .map(|row| {
            let tenant_id = TenantId::parse(&row.tenant_id).map_err(|_| corrupt("lock_leases", "tenant_id"))?;
            let lease_id = LeaseId::from_uuid(row.lease_id);
            Ok(Wait { lease_id, tenant_id, call_id: row.call_id, is_ready: row.is_ready })
        })
        .collect()
}

/// Waits through instances that are not alive.
pub async fn waits_abandoned(tx: &mut Tx, leases_max: i64) -> Result<Vec<(LeaseId, TenantId)>, StoreError> {
    let rows = sqlx::query_file!("src/store/queries/waits_abandoned.sql", leases_max).fetch_all(&mut **tx).await?;
    rows.into_iter()
        .map(|row| {
            let tenant_id = TenantId::parse(&row.tenant_id).map_err(|_| corrupt("lock_leases", "tenant_id"))?;
            Ok((LeaseId::from_uuid(row.lease_id), tenant_id))
        })
        .collect()
}

/// Deletes instances that have not been alive for a while and through which nobody waits; answers how many.
pub async fn instances_forget(tx: &mut Tx) -> Result<u64, StoreError> {
    Ok(sqlx::query_file!("src/store/queries/instances_forget.sql").execute(&mut **tx).await?.rows_affected())
}
