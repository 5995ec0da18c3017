//! The platform's access to PostgreSQL, against PostgreSQL.

mod coalescer;
mod errors;
mod leadership;
mod migrate;
mod replica;
mod restart;
mod scope;
mod silent;
mod snapshot;

use holdfast_ids::TenantId;
use holdfast_pg::TenantScope;

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).expect("a tenant id")
}

fn scope(names: &[&str]) -> TenantScope {
    let tenants: Vec<TenantId> = names.iter().map(|name| tenant(name)).collect();
    TenantScope::new(&tenants).expect("a tenant at least")
}
