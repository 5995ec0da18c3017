//! Heartbeats.

use std::collections::HashMap;

use holdfast_ids::{ActorId, LeaseId, TenantId};
use holdfast_pg::Tx;

use super::StoreError;
use super::rows::{corrupt, resources};
use crate::domain::Time;
use crate::domain::lease::Reach;
use crate::domain::resource::{Name, Resource};
use crate::metrics::{self, Query};

#[derive(Debug, Clone)]
pub struct Renewing {
    pub lease_id: LeaseId,
    pub reach: Reach,
    pub actor_id: ActorId,
    /// Which renewal it is, from 1; None where the caller does not count.
    pub renewal: Option<i32>,
}

/// A lease as a heartbeat left it.
#[derive(Debug, Clone)]
pub struct RenewedLease {
    pub lease_id: LeaseId,
    pub tenant_id: TenantId,
    pub resources: Vec<Resource>,
    pub fences: Vec<i64>,
    pub expires_at: Time,
    pub stale_at: Time,
    pub renewals: i32,
    pub renewals_max: i32,
}

impl RenewedLease {
    pub fn names(&self) -> impl Iterator<Item = Name> {
        self.resources.iter().map(|resource| Name { tenant_id: self.tenant_id.clone(), resource: resource.clone() })
    }
}

#[derive(Debug, Clone)]
pub enum Renewal {
    /// `now`: by the database's clock.
    Renewed {
        lease: RenewedLease,
        now: Time,
    },
    Exhausted {
        renewals_max: i32,
    },
    /// It is stale, has ended, or is none that the caller holds.
    Over,
}

/// Renews what is held and not stale; answers each item, in their order.
pub async fn leases_renew_if_held(tx: &mut Tx, items: &[Renewing]) -> Result<Vec<Renewal>, StoreError> {
    let asked = || items.iter();
    let projects = |item: &Renewing| {
        let projects = item.reach.projects.as_ref()?;
        Some(projects.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
    };
    let query = sqlx::query_file!(
        "src/store/queries/leases_renew.sql",
        &asked().map(|item| item.lease_id.as_uuid()).collect::<Vec<_>>(),
        &asked().map(|item| item.reach.tenant_id.to_string()).collect::<Vec<_>>(),
        &asked().map(|item| item.actor_id.to_string()).collect::<Vec<_>>(),
        &asked().map(|item| projects(item)).collect::<Vec<_>>() as _,
        &asked().map(|item| item.renewal).collect::<Vec<_>>() as _,
    );
    let rows = metrics::timed(Query::Renew, query.fetch_all(&mut **tx)).await?;
    let mut renewals: HashMap<i64, Renewal> = HashMap::with_capacity(rows.len());
    for row in rows {
        let renewal = match row.outcome.as_str() {
            "renewed" => Renewal::Renewed {
                lease: RenewedLease {
                    lease_id: LeaseId::from_uuid(row.lease_id),
                    tenant_id: TenantId::parse(&row.tenant_id).map_err(|_| corrupt("lock_leases", "tenant_id"))?,
                    resources: resources(&row.project_ids, &row.classes, &row.resource_keys)?,
                    fences: row.fences,
                    expires_at: row.expires_at,
                    stale_at: row.stale_at,
                    renewals: row.renewals,
                    renewals_max: row.renewals_max,
                },
                now: row.now,
            },
            "exhausted" => Renewal::Exhausted { renewals_max: row.renewals_max },
            _ => Renewal::Over,
        };
        renewals.insert(row.ordinal, renewal);
    }
    Ok((1..).take(items.len()).map(|ordinal| renewals.remove(&ordinal).unwrap_or(Renewal::Over)).collect())
}
