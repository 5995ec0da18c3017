//! Reserved keys: the ledger for the intents of other services.

use chrono::TimeDelta;
use holdfast_fault::{Fault, Reason};
use holdfast_ids::{IdempotencyKey, Intent, LedgerId, ProjectId, TenantId};
use holdfast_pg::{TenantScope, Tx};

use super::{App, Asking, authorise, retrying};
use crate::domain::job::Time;
use crate::domain::key::{self, Completion, Head, Reservation, Use};
use crate::domain::payload::Payload;
use crate::domain::payload_hash::{self, PayloadHash};
use crate::domain::submission::KeyScope;
use crate::error::bad_json;
use crate::store::StoreError;
use crate::store::key::{
    LockedKey, NewHead, Terms, key_head_update, key_insert_if_unused, key_ledger_complete, key_ledger_insert, key_lock,
};
use crate::store::submit::ledger_touch;

/// A key as the caller names it.
#[derive(Debug, Clone)]
pub struct NamedKey {
    pub tenant_id: Option<TenantId>,
    pub project_id: ProjectId,
    pub intent: Intent,
    pub key: IdempotencyKey,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    Granted { token: i64, lease_expires_at: Time, earlier_outcome_unknown: bool, generation: i64, window_end: Time },
    InProgress { lease_expires_at: Time },
    Completed { outcome: Payload, completed_at: Time, generation: i64 },
}

/// A key as its callers see it.
#[derive(Debug, Clone)]
pub struct SeenKey {
    pub head: Head,
    pub first_seen_at: Time,
    pub last_seen_at: Time,
}

impl App {
    pub async fn reserve_key(
        &self,
        asking: &Asking,
        named: NamedKey,
        request: &[u8],
        content_type: &str,
        lease: std::time::Duration,
    ) -> Result<Reserved, Fault> {
        let scope = key_scope(asking, named)?;
        let hash = payload_hash::of_reservation(request, content_type).map_err(|error| bad_json("request", error))?;
        let window = self.core.terms(&scope.tenant_id, &scope.project_id, &scope.intent).key_window;
        let terms = Terms { window_ms: window.as_millis() as i64, lease_ms: lease.as_millis() as i64 };
        retrying(&self.core.app_db, || self.reserve_once(asking, &scope, &hash, terms)).await?.ok_or_else(|| {
            Fault::new(
                Reason::Job409IdempotencyConflict,
                "the idempotency key was used in its window for another request",
            )
        })
    }

    /// None: conflict.
    async fn reserve_once(
        &self,
        asking: &Asking,
        scope: &KeyScope,
        hash: &PayloadHash,
        terms: Terms,
    ) -> Result<Option<Reserved>, StoreError> {
        let mut tx = self.core.app_db.begin(&TenantScope::one(&scope.tenant_id), asking.deadline).await?;
        let ledger_id = LedgerId::new();
        if let Some(first) = key_insert_if_unused(&mut tx, scope, ledger_id, hash, terms).await? {
            key_ledger_insert(&mut tx, scope, ledger_id, 1, (first.opened_at, first.window_end), hash).await?;
            tx.commit().await?;
            return Ok(Some(Reserved::Granted {
                token: 1,
                lease_expires_at: first.lease_expires_at,
                earlier_outcome_unknown: false,
                generation: 1,
                window_end: first.window_end,
            }));
        }
        let locked = key_lock(&mut tx, scope).await?.ok_or(StoreError::Raced)?;
        let lease_expires_at = locked.now + TimeDelta::milliseconds(terms.lease_ms);
        let reserved = match key::reserve(&locked.head, hash, locked.now) {
            Reservation::Conflict => return Ok(None),
            Reservation::InProgress { lease_expires_at } => {
                touch(&mut tx, scope, &locked).await?;
                Reserved::InProgress { lease_expires_at }
            }
            Reservation::Completed { outcome, completed_at } => {
                touch(&mut tx, scope, &locked).await?;
                Reserved::Completed { outcome, completed_at, generation: locked.head.generation }
            }
            Reservation::TakesOver { token } => {
                touch(&mut tx, scope, &locked).await?;
                grant(&mut tx, scope, &locked, token, lease_expires_at).await?;
                Reserved::Granted {
                    token,
                    lease_expires_at,
                    earlier_outcome_unknown: true,
                    generation: locked.head.generation,
                    window_end: locked.head.window_end,
                }
            }
            Reservation::OpensWindow { generation } => {
                let window_end = locked.now + TimeDelta::milliseconds(terms.window_ms);
                let token = locked.token + 1;
                key_ledger_insert(&mut tx, scope, ledger_id, generation, (locked.now, window_end), hash).await?;
                let head = NewHead {
                    generation,
                    ledger_id: ledger_id.as_uuid(),
                    payload_hash: *hash,
                    window_end,
                    token,
                    lease_expires_at: Some(lease_expires_at),
                    completed_at: None,
                };
                key_head_update(&mut tx, scope, &head).await?;
                Reserved::Granted { token, lease_expires_at, earlier_outcome_unknown: false, generation, window_end }
            }
        };
        tx.commit().await?;
        Ok(Some(reserved))
    }

    /// Answers when the outcome was recorded, and whether by an earlier call.
    pub async fn complete_key(
        &self,
        asking: &Asking,
        named: NamedKey,
        token: i64,
        outcome: Payload,
    ) -> Result<(Time, bool), Fault> {
        let scope = key_scope(asking, named)?;
        payload_hash::check_json(&outcome.data, &outcome.content_type).map_err(|error| bad_json("outcome", error))?;
        retrying(&self.core.app_db, || self.complete_key_once(asking, &scope, token, &outcome)).await?
    }

    async fn complete_key_once(
        &self,
        asking: &Asking,
        scope: &KeyScope,
        token: i64,
        outcome: &Payload,
    ) -> Result<Result<(Time, bool), Fault>, StoreError> {
        let mut tx = self.core.app_db.begin(&TenantScope::one(&scope.tenant_id), asking.deadline).await?;
        let Some(locked) = key_lock(&mut tx, scope).await? else { return Ok(Err(key_not_found())) };
        match key::complete(&locked.head, token, outcome, locked.now) {
            Completion::Repeats { completed_at } => Ok(Ok((completed_at, true))),
            Completion::Stale => Ok(Err(Fault::new(
                Reason::Idempotency409StaleToken,
                "the reservation token is not, or no longer, the current one",
            ))),
            Completion::Records => {
                key_ledger_complete(&mut tx, scope, locked.ledger_id, outcome, locked.now).await?;
                let head = NewHead { lease_expires_at: None, completed_at: Some(locked.now), ..unchanged(&locked) };
                key_head_update(&mut tx, scope, &head).await?;
                tx.commit().await?;
                Ok(Ok((locked.now, false)))
            }
        }
    }

    pub async fn get_key(&self, asking: &Asking, named: NamedKey) -> Result<SeenKey, Fault> {
        let scope = key_scope(asking, named)?;
        let looked = self.core.app_db.bounded(self.get_key_once(asking, &scope)).await?;
        let locked = looked.ok_or_else(key_not_found)?;
        Ok(SeenKey { head: locked.head, first_seen_at: locked.first_seen_at, last_seen_at: locked.last_seen_at })
    }

    async fn get_key_once(&self, asking: &Asking, scope: &KeyScope) -> Result<Option<LockedKey>, StoreError> {
        let mut tx = self.core.app_db.begin(&TenantScope::one(&scope.tenant_id), asking.deadline).await?;
        let locked = key_lock(&mut tx, scope).await?;
        tx.rollback().await?;
        Ok(locked)
    }
}

fn key_not_found() -> Fault {
    Fault::new(Reason::Idempotency404NotFound, "no such key")
}

fn key_scope(asking: &Asking, named: NamedKey) -> Result<KeyScope, Fault> {
    let caller = &asking.caller;
    caller.require_project(&named.project_id)?;
    caller.require_intent(&named.intent)?;
    Ok(KeyScope {
        tenant_id: authorise::tenant(caller, named.tenant_id).map_err(|fault| fault.under("scope."))?,
        project_id: named.project_id,
        intent: named.intent,
        actor_id: caller.actor.clone(),
        key: named.key,
    })
}

/// The key was seen again.
async fn touch(tx: &mut Tx, scope: &KeyScope, locked: &LockedKey) -> Result<(), StoreError> {
    ledger_touch(tx, &[locked.ledger_id], &[scope.tenant_id.to_string()]).await
}

async fn grant(
    tx: &mut Tx,
    scope: &KeyScope,
    locked: &LockedKey,
    token: i64,
    lease_expires_at: Time,
) -> Result<(), StoreError> {
    let head = NewHead { token, lease_expires_at: Some(lease_expires_at), completed_at: None, ..unchanged(locked) };
    key_head_update(tx, scope, &head).await
}

fn unchanged(locked: &LockedKey) -> NewHead {
    let (lease_expires_at, completed_at) = match &locked.head.use_ {
        Use::Job(_) => (None, None),
        Use::Reserved { lease_expires_at, .. } => (Some(*lease_expires_at), None),
        Use::Completed { completed_at, .. } => (None, Some(*completed_at)),
    };
    NewHead {
        generation: locked.head.generation,
        ledger_id: locked.ledger_id,
        payload_hash: locked.head.payload_hash,
        window_end: locked.head.window_end,
        token: locked.token,
        lease_expires_at,
        completed_at,
    }
}
