//! The tenants that a transaction may see and write.

use holdfast_ids::TenantId;

/// A set of tenants, sorted, never empty: no scope at all means no rows, and nobody begins a transaction to see nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TenantScope(Vec<TenantId>);

/// A scope that names no tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a scope names at least one tenant")]
pub struct EmptyScope;

impl TenantScope {
    pub fn new<'a>(tenants: impl IntoIterator<Item = &'a TenantId>) -> Result<Self, EmptyScope> {
        let mut tenants: Vec<TenantId> = tenants.into_iter().cloned().collect();
        tenants.sort_unstable();
        tenants.dedup();
        if tenants.is_empty() { Err(EmptyScope) } else { Ok(Self(tenants)) }
    }

    pub fn one(tenant: &TenantId) -> Self {
        Self(vec![tenant.clone()])
    }

    pub fn contains(&self, tenant: &TenantId) -> bool {
        self.0.binary_search(tenant).is_ok()
    }

    pub fn tenants(&self) -> &[TenantId] {
        &self.0
    }

    /// The value of `holdfast.tenants`, for a function of the database that sets it. Safe inside an SQL literal: a tenant id holds neither quote nor
    /// comma.
    pub fn setting(&self) -> String {
        self.0.iter().map(TenantId::as_str).collect::<Vec<_>>().join(",")
    }
}

impl From<&TenantId> for TenantScope {
    fn from(tenant: &TenantId) -> Self {
        Self::one(tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).expect("a tenant id")
    }

    #[test]
    fn a_scope_is_sorted_and_has_no_doubles() {
        let (a, b) = (tenant("a"), tenant("b"));
        let scope = TenantScope::new([&b, &a, &b]).expect("not empty");
        assert_eq!(scope.setting(), "a,b");
        assert!(scope.contains(&a) && !scope.contains(&tenant("c")));
    }

    #[test]
    fn a_scope_is_never_empty() {
        assert_eq!(TenantScope::new([]), Err(EmptyScope));
    }
}
