//! Reserved keys.

use holdfast_ids::{JobId, LedgerId};
use holdfast_pg::Tx;
use uuid::Uuid;

use super::StoreError;
use super::rows::corrupt;
use crate::domain::job::Time;
use crate::domain::key::{Head, Use};
use crate::domain::payload::Payload;
use crate::domain::payload_hash::PayloadHash;
use crate::domain::submission::KeyScope;
use crate::metrics::{self, Query};

/// A key that was never used before, taken.
#[derive(Debug)]
pub struct First {
    pub opened_at: Time,
    pub window_end: Time,
    pub lease_expires_at: Time,
}

/// How long a window and a reservation last.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    pub window_ms: i64,
    pub lease_ms: i64,
}

pub async fn key_insert_if_unused(
    tx: &mut Tx,
    scope: &KeyScope,
    ledger_id: LedgerId,
    hash: &PayloadHash,
    terms: Terms,
) -> Result<Option<First>, StoreError> {
    let row = sqlx::query_file!(
        "src/store/queries/key_insert.sql",
        scope.tenant_id.as_str(),
        scope.project_id.as_str(),
        scope.intent.as_str(),
        scope.actor_id.as_str(),
        scope.key.as_str(),
        ledger_id.as_uuid(),
        &hash[..],
        terms.window_ms,
        terms.lease_ms,
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| First {
        opened_at: row.opened_at,
        window_end: row.window_end,
        lease_expires_at: row.lease_expires_at,
    }))
}

/// A head under lock, with what its ledger row knows.
#[derive(Debug)]
pub struct LockedKey {
    pub head: Head,
    pub ledger_id: Uuid,
    pub token: i64,
    pub first_seen_at: Time,
    pub last_seen_at: Time,
    pub now: Time,
}

pub async fn key_lock(tx: &mut Tx, scope: &KeyScope) -> Result<Option<LockedKey>, StoreError> {
    let statement = sqlx::query_file!(
        "src/store/queries/key_lock.sql",
        scope.tenant_id.as_str(),
        scope.project_id.as_str(),
        scope.intent.as_str(),
        scope.actor_id.as_str(),
        scope.key.as_str(),
    );
    let Some(head) = metrics::timed(Query::KeyLock, statement.fetch_optional(&mut **tx)).await? else {
        return Ok(None);
    };
    let ledger = sqlx::query_file!("src/store/queries/key_ledger.sql", head.ledger_id, scope.tenant_id.as_str())
        .fetch_one(&mut **tx)
        .await?;
    let token = head.token;
    let use_ = match (head.job_id, head.completed_at, head.lease_expires_at) {
        (Some(job_id), _, _) => Use::Job(JobId::from_uuid(job_id)),
        (None, Some(completed_at), _) => {
            let outcome = ledger.outcome.zip(ledger.outcome_content_type);
            let (data, content_type) = outcome.ok_or_else(|| corrupt("idempotency_ledger", "outcome"))?;
            Use::Completed { token, completed_at, outcome: Payload { data: data.into(), content_type } }
        }
        (None, None, Some(lease_expires_at)) => Use::Reserved { token, lease_expires_at },
        (None, None, None) => return Err(corrupt("idempotency_heads", "lease_expires_at")),
    };
    let payload_hash = head.payload_hash.try_into().map_err(|_| corrupt("idempotency_heads", "payload_hash"))?;
    Ok(Some(LockedKey {
        head: Head { generation: head.generation, payload_hash, window_end: head.window_end, use_ },
        ledger_id: head.ledger_id,
        token,
        first_seen_at: ledger.first_seen_at,
        last_seen_at: ledger.last_seen_at,
        now: ledger.now,
    }))
}

/// What a locked head becomes.
#[derive(Debug)]
pub struct NewHead {
    pub generation: i64,
    pub ledger_id: Uuid,
    pub payload_hash: PayloadHash,
    pub window_end: Time,
    pub token: i64,
    pub lease_expires_at: Option<Time>,
    pub completed_at: Option<Time>,
}

pub async fn key_head_update(tx: &mut Tx, scope: &KeyScope, head: &NewHead) -> Result<(), StoreError> {
    sqlx::query_file!(
        "src/store/queries/key_head_update.sql",
        scope.tenant_id.as_str(),
        scope.project_id.as_str(),
        scope.intent.as_str(),
        scope.actor_id.as_str(),
        scope.key.as_str(),
        head.generation,
        head.ledger_id,
        &head.payload_hash[..],
        head.window_end,
        head.token,
        head.lease_expires_at,
        head.completed_at,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Begins the history of a window.
pub async fn key_ledger_insert(
    tx: &mut Tx,
    scope: &KeyScope,
    ledger_id: LedgerId,
    generation: i64,
    window: (Time, Time),
    hash: &PayloadHash,
) -> Result<(), StoreError> {
    sqlx::query_file!(
        "src/store/queries/key_ledger_insert.sql",
        ledger_id.as_uuid(),
        scope.tenant_id.as_str(),
        scope.key.as_str(),
        scope.project_id.as_str(),
        scope.intent.as_str(),
        scope.actor_id.as_str(),
        generation,
        window.0,
        window.1,
        &hash[..],
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub async fn key_ledger_complete(
    tx: &mut Tx,
    scope: &KeyScope,
    ledger_id: Uuid,
    outcome: &Payload,
    completed_at: Time,
) -> Result<(), StoreError> {
    sqlx::query_file!(
        "src/store/queries/key_ledger_complete.sql",
        ledger_id,
        scope.tenant_id.as_str(),
        outcome.data.as_ref(),
        outcome.content_type,
        completed_at,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
