//! Requests for locks, as sentences.

use std::time::Duration;

use tonic::Status;

use crate::support::{Api, pb};

/// A request under way: `Ask::for_one("main").owner("a").wait_s(5).of(&api)`.
#[derive(Debug, Clone)]
pub struct Ask {
    resources: Vec<pb::Resource>,
    terms: pb::AcquireTerms,
}

pub fn resource(class: &str, key: &str) -> pb::Resource {
    pb::Resource { project_id: "team".to_owned(), class: class.to_owned(), key: key.to_owned() }
}

fn wire(duration: Duration) -> prost_types::Duration {
    prost_types::Duration { seconds: duration.as_secs() as i64, nanos: duration.subsec_nanos() as i32 }
}

impl Ask {
    pub fn for_one(key: &str) -> Self {
        Self::for_all([resource("project", key)])
    }

    pub fn for_all(resources: impl IntoIterator<Item = pb::Resource>) -> Self {
        let terms = pb::AcquireTerms { owner: uuid::Uuid::now_v7().to_string(), ..Default::default() };
        Self { resources: resources.into_iter().collect(), terms }
    }

    pub fn owner(mut self, owner: &str) -> Self {
        self.terms.owner = owner.to_owned();
        self
    }

    pub fn key(mut self, key: &str) -> Self {
        self.terms.idempotency_key = key.to_owned();
        self
    }

    pub fn wait(mut self, wait: Duration) -> Self {
        self.terms.wait = Some(wire(wait));
        self
    }

    pub fn wait_s(self, seconds: u64) -> Self {
        self.wait(Duration::from_secs(seconds))
    }

    pub fn ttl_s(mut self, seconds: i64) -> Self {
        self.terms.ttl = Some(prost_types::Duration { seconds, nanos: 0 });
        self
    }

    pub fn require_mirror(mut self, required: bool) -> Self {
        self.terms.require_mirror = Some(required);
        self
    }

    pub async fn of(&self, api: &Api) -> Result<pb::AcquireLockResponse, Status> {
        let resource = self.resources.first().cloned();
        let request = pb::AcquireLockRequest { tenant_id: String::new(), resource, terms: Some(self.terms.clone()) };
        api.acquire_lock(request).await
    }

    pub async fn all_of(&self, api: &Api) -> Result<pb::AcquireLocksResponse, Status> {
        let request = pb::AcquireLocksRequest {
            tenant_id: String::new(),
            resources: self.resources.clone(),
            terms: Some(self.terms.clone()),
        };
        api.acquire_locks(request).await
    }

    /// The lease, where it is granted.
    pub async fn lease(&self, api: &Api) -> Result<pb::Lease, Status> {
        let response = self.all_of(api).await?;
        response.lease.ok_or_else(|| Status::internal("an answer without a lease"))
    }
}

pub fn token(lease: &pb::Lease) -> u64 {
    lease.resources[0].fencing_token
}

pub fn lease_ref(lease: &pb::Lease) -> Option<pb::LeaseRef> {
    Some(pb::LeaseRef { tenant_id: String::new(), lease_id: lease.lease_id.clone() })
}

pub async fn release(api: &Api, lease: &pb::Lease) -> Result<pb::ReleaseLockResponse, Status> {
    api.release_lock(pb::ReleaseLockRequest { lease: lease_ref(lease) }).await
}

/// Renews; 0 is a renewal that its holder does not count.
pub async fn renew(api: &Api, lease: &pb::Lease, renewal: u32) -> Result<pb::RenewLockResponse, Status> {
    api.renew_lock(pb::RenewLockRequest { lease: lease_ref(lease), renewal }).await
}

/// How a resource stands.
pub async fn look(api: &Api, resource: pb::Resource) -> Result<pb::Lock, Status> {
    let request = pb::GetLockRequest { tenant_id: String::new(), resource: Some(resource) };
    api.get_lock(request).await?.lock.ok_or_else(|| Status::internal("an answer without a lock"))
}
