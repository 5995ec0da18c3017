//! One valid request for each method, and for each message of a stream, in which every field is set.

use anyhow::{Context as _, Result};
use holdfast_caller::Role;
use holdfast_caller::issuer::TokenSpec;
use holdfast_ids::TenantId;
use pb::hold_lock_request::{Acquire, Heartbeat, Message as In, Resume};
use prost::Message;
use prost_reflect::DynamicMessage;

use crate::asks::{Ask, resource, token};
use crate::support::raw::{Method, methods};
use crate::support::*;

const HOLDER: &str = "holder";

/// What is there for the requests to name.
pub struct Stage {
    pub tenant: TenantId,
    /// To be released, to be forced, to stay, and two for streams, which release them.
    leases: Vec<pb::Lease>,
    page_token: String,
}

impl Stage {
    /// Leases, in the order in which one owner takes them, and a listing with a second page.
    pub async fn set(world: &World, tenant: TenantId) -> Result<Self> {
        let holder = world.owner(HOLDER, &tenant);
        let mut leases = Vec::new();
        for key in ["a-released", "b-forced", "c-stays", "d-resumed", "e-beats"] {
            leases.push(Ask::for_one(key).owner("first").lease(&holder).await?);
        }
        let mut stage = Self { tenant, leases, page_token: String::new() };
        stage.page_token = holder.list_locks(stage.listing()).await?.next_page_token;
        anyhow::ensure!(!stage.page_token.is_empty(), "there is a second page");
        Ok(stage)
    }

    fn listing(&self) -> pb::ListLocksRequest {
        pb::ListLocksRequest {
            tenant_id: self.tenant.to_string(),
            project_id: "team".to_owned(),
            class: "project".to_owned(),
            owner: "first".to_owned(),
            actor_id: HOLDER.to_owned(),
            page_size: 1,
            page_token: self.page_token.clone(),
        }
    }

    fn lease(&self, index: usize) -> Option<pb::LeaseRef> {
        Some(pb::LeaseRef { tenant_id: self.tenant.to_string(), lease_id: self.leases[index].lease_id.clone() })
    }

    fn terms() -> Option<pb::AcquireTerms> {
        let second = prost_types::Duration { seconds: 1, nanos: 0 };
        Some(pb::AcquireTerms {
            owner: uuid::Uuid::now_v7().to_string(),
            idempotency_key: uuid::Uuid::now_v7().to_string(),
            ttl: Some(second),
            wait: Some(second),
            require_mirror: Some(true),
        })
    }

    pub fn all(&self) -> Result<Vec<Sample>> {
        let mut samples = Vec::new();
        for method in methods() {
            for message in self.of(&method)? {
                let message = DynamicMessage::decode(method.input(), message.as_slice())?;
                let heartbeat = method.input().get_field_by_name("heartbeat");
                let resumes = heartbeat.is_some_and(|field| message.has_field(&field));
                let before = if resumes { vec![self.resume(4).encode_to_vec()] } else { Vec::new() };
                samples.push(Sample { method: method.clone(), message, before, resumes });
            }
        }
        Ok(samples)
    }

    fn resume(&self, index: usize) -> pb::HoldLockRequest {
        pb::HoldLockRequest { message: Some(In::Resume(Resume { lease: self.lease(index) })) }
    }

    fn of(&self, method: &Method) -> Result<Vec<Vec<u8>>> {
        let tenant_id = self.tenant.to_string();
        let named = Some(resource("project", "c-stays"));
        let resources = vec![resource("infrastructure", "one"), resource("memory", "two")];
        let terms = Self::terms();
        let one = |message: Vec<u8>| vec![message];
        Ok(match method.name() {
            "AcquireLock" => {
                let resource = Some(resource("budget", "day"));
                one(pb::AcquireLockRequest { tenant_id, resource, terms }.encode_to_vec())
            }
            "AcquireLocks" => one(pb::AcquireLocksRequest { tenant_id, resources, terms }.encode_to_vec()),
            "RenewLock" => one(pb::RenewLockRequest { lease: self.lease(2), renewal: 1 }.encode_to_vec()),
            "ReleaseLock" => one(pb::ReleaseLockRequest { lease: self.lease(0) }.encode_to_vec()),
            "HoldLock" => {
                let acquire = In::Acquire(Acquire { tenant_id, resources, terms });
                let heartbeat = In::Heartbeat(Heartbeat { renewal: 1 });
                let messages = [acquire, heartbeat].map(|message| pb::HoldLockRequest { message: Some(message) });
                messages.iter().chain([&self.resume(3)]).map(Message::encode_to_vec).collect()
            }
            "GetLock" => one(pb::GetLockRequest { tenant_id, resource: named }.encode_to_vec()),
            "ListLocks" => one(self.listing().encode_to_vec()),
            "WatchLock" => one(pb::WatchLockRequest { tenant_id, resource: named }.encode_to_vec()),
            "CheckFence" => {
                let fencing_token = token(&self.leases[2]);
                one(pb::CheckFenceRequest { tenant_id, resource: named, fencing_token }.encode_to_vec())
            }
            "ForceReleaseLock" => {
                let reason = "it hangs".to_owned();
                one(pb::ForceReleaseLockRequest { lease: self.lease(1), reason }.encode_to_vec())
            }
            // Says nothing.
            "ListLockClasses" => Vec::new(),
            unknown => anyhow::bail!("this test does not know {unknown}: make a valid request of it"),
        })
    }
}

pub struct Sample {
    pub method: Method,
    pub message: DynamicMessage,
    /// What has to be said before it.
    before: Vec<Vec<u8>>,
    /// What is said before it renews a lease.
    pub resumes: bool,
}

impl Sample {
    pub async fn send(
        &self,
        world: &World,
        tenants: &[TenantId],
        message: Vec<u8>,
    ) -> Result<Vec<Vec<u8>>, tonic::Status> {
        let first = tenants.first().context("a tenant").expect("a walk has one").clone();
        let spec = TokenSpec::user(actor(HOLDER), first, Role::Owner).tenants(tenants.iter().cloned());
        let messages = self.before.iter().cloned().chain([message]).collect();
        world.caller(spec).raw(&self.method, messages).await
    }
}
