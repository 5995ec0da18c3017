//! What is locked.

use std::fmt;

use holdfast_ids::{LockClass, ProjectId, ResourceKey, TenantId};

/// A resource of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    pub project_id: ProjectId,
    pub class: LockClass,
    pub key: ResourceKey,
}

/// A resource of all tenants. Ordered as rows are locked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    pub tenant_id: TenantId,
    pub resource: Resource,
}

/// As refusals name it.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.class, self.project_id, self.key)
    }
}

/// As ordering keys of events, and hints, name it: the key comes last, it may hold what separates.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Resource { project_id, class, key } = &self.resource;
        write!(f, "{}/{project_id}/{class}/{key}", self.tenant_id)
    }
}

impl Name {
    /// The reverse of its display.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, '/');
        Some(Self {
            tenant_id: TenantId::parse(parts.next()?).ok()?,
            resource: Resource {
                project_id: ProjectId::parse(parts.next()?).ok()?,
                class: LockClass::parse(parts.next()?).ok()?,
                key: ResourceKey::parse(parts.next()?).ok()?,
            },
        })
    }
}
