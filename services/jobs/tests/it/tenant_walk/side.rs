//! One of the two tenants: its callers, what it did and what it was told; and what every answer is held to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use holdfast_caller::Role;
use holdfast_caller::issuer::TokenSpec;
use holdfast_fault::{Received, Violation};
use holdfast_ids::TenantId;
use prost::Message;
use rand::Rng as _;
use tonic::Code;
use uuid::Uuid;

use super::model::Model;
use super::{Walk, Who};
use crate::support::raw::Method;
use crate::support::*;

pub const PROJECTS: [&str; 2] = ["alpha", "beta"];
/// A failed job of this intent is retried long after the walk.
pub const RETRIED: &str = "slow.retry";
pub const INTENTS: [&str; 2] = [INTENT, RETRIED];

/// On whose behalf a tenant calls. Both tenants have one of each, of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Alice,
    Memory,
    /// Who decides.
    Olga,
    Worker,
}

impl By {
    pub fn actor(self) -> &'static str {
        match self {
            Self::Alice => "alice",
            Self::Memory => "memory",
            Self::Olga => "olga",
            Self::Worker => "worker-1",
        }
    }
}

pub struct Side {
    pub tenant: TenantId,
    pub model: Model,
    /// Every id that it was ever told, and its own: nobody else may hear of them.
    told: BTreeSet<Uuid>,
    /// The latest, of a listing and of a history.
    pub jobs_token: Option<String>,
    pub events_token: Option<String>,
    alice: Api,
    memory: Api,
    olga: Api,
    pub worker: Api,
}

impl Side {
    pub fn new(world: &World, tenant: TenantId) -> Self {
        Self {
            model: Model::default(),
            told: ids_in(tenant.as_str().as_bytes()),
            jobs_token: None,
            events_token: None,
            alice: world.user(By::Alice.actor(), &tenant),
            memory: world.service(By::Memory.actor(), &tenant),
            olga: world.caller(TokenSpec::user(actor(By::Olga.actor()), tenant.clone(), Role::Owner)),
            worker: world.worker(By::Worker.actor(), &tenant),
            tenant,
        }
    }

    fn api(&self, by: By) -> &Api {
        match by {
            By::Alice => &self.alice,
            By::Memory => &self.memory,
            By::Olga => &self.olga,
            By::Worker => &self.worker,
        }
    }

    /// JSON that gives its tenant away, as all that a tenant makes does.
    pub fn content(&self, variant: i32) -> String {
        format!("{{\"of\":\"{}\",\"variant\":{variant}}}", self.tenant)
    }
}

/// A refusal without what is different in every call.
#[derive(Debug, PartialEq)]
pub struct Refusal {
    pub reason: Option<Reason>,
    code: Code,
    message: String,
    violations: Vec<Violation>,
    retry_after: Option<Duration>,
    metadata: BTreeMap<String, String>,
}

impl From<Received> for Refusal {
    fn from(received: Received) -> Self {
        let Received { code, reason, message, violations, retry_after, metadata, .. } = received;
        Self { reason, code, message, violations, retry_after, metadata }
    }
}

impl From<&tonic_types::Status> for Refusal {
    fn from(status: &tonic_types::Status) -> Self {
        Received::from_rpc(status).into()
    }
}

pub fn name_of(method: &Method) -> String {
    format!("{}.{}", method.parent_service().name(), method.name())
}

/// Every UUID in the bytes, with hyphens or without: also such as stand within a longer text.
fn ids_in(bytes: &[u8]) -> BTreeSet<Uuid> {
    let parsed = |window: &[u8]| std::str::from_utf8(window).ok().and_then(|text| Uuid::try_parse(text).ok());
    let hyphenated = bytes.windows(36).filter(|window| window[8] == b'-' && window[13] == b'-').filter_map(parsed);
    let is_hex = |window: &&[u8]| window.iter().all(u8::is_ascii_hexdigit);
    hyphenated.chain(bytes.windows(32).filter(is_hex).filter_map(parsed)).collect()
}

impl Walk {
    pub fn other(&self, own: Who) -> &Side {
        &self.sides[1 - own]
    }

    /// A key that both tenants use, or one that only this one does.
    pub fn key_name(&mut self, own: Who) -> String {
        let number = self.rng.random_range(0..4);
        let name = format!("key-{number}");
        if self.chance(0.7) { name } else { format!("{}-{name}", self.sides[own].tenant) }
    }

    pub fn worker_id(&mut self, own: Who) -> String {
        if self.chance(0.7) { "worker-1".to_owned() } else { format!("worker-1/{}", self.sides[own].tenant) }
    }

    /// A tenant that the caller's token is not for: the other, and nobody.
    pub fn foreign_tenants(&self, own: Who) -> (String, String) {
        (self.other(own).tenant.to_string(), tenant().to_string())
    }

    pub async fn call<A: Message + Default>(
        &mut self,
        own: Who,
        by: By,
        method: &str,
        request: &impl Message,
    ) -> Result<A, Refusal> {
        let known = self.methods.iter().find(|known| name_of(known) == method);
        let descriptor = known.expect("a method of the contracts").clone();
        self.walked.insert(method.to_owned());
        let said = request.encode_to_vec();
        let outcome = self.sides[own].api(by).raw(&descriptor, vec![said.clone()]).await;
        match &outcome {
            Ok(answers) => self.hear(own, &said, &answers.concat()),
            Err(status) => self.hear(own, &said, &[status.message().as_bytes(), status.details()].concat()),
        }
        match outcome {
            Ok(answers) => Ok(A::decode(answers[0].as_slice()).expect("the contract's answer")),
            Err(status) => Err(Received::from_status(&status).into()),
        }
    }

    /// Whatever a tenant is answered names nothing of the other that it did not name itself.
    pub fn hear(&mut self, own: Who, said: &[u8], heard: &[u8]) {
        let (said, heard) = (ids_in(said), ids_in(heard));
        let news: Vec<Uuid> = heard.difference(&said).copied().collect();
        let leaked: Vec<_> = news.iter().filter(|id| self.other(own).told.contains(id)).collect();
        assert!(leaked.is_empty(), "tenant {own} was told the other's {leaked:?}");
        self.sides[own].told.extend(news);
    }

    /// What is the other's is refused as what is nobody's.
    pub async fn refused_alike<R: Message + std::fmt::Debug>(
        &mut self,
        own: Who,
        by: By,
        method: &str,
        (others, nobodys): (R, R),
    ) -> Reason {
        let first = self.call::<()>(own, by, method, &others).await;
        let second = self.call::<()>(own, by, method, &nobodys).await;
        assert_eq!(first, second, "{method} tells what is the other's from what is nobody's: {others:?}");
        let refusal = first.expect_err(method);
        refusal.reason.unwrap_or_else(|| panic!("{method}: {refusal:?}"))
    }
}

#[test]
fn ids_are_found_wherever_they_stand() {
    let id = Uuid::now_v7();
    for text in [id.to_string(), format!("t-{}", id.simple()), format!("12345678{}", id.simple())] {
        for heard in [text.clone().into_bytes(), [b"\x0a\xff$".as_slice(), text.as_bytes(), b"\x12\x00"].concat()] {
            assert!(ids_in(&heard).contains(&id), "{text} in {heard:?}");
        }
    }
    assert!(ids_in(b"nothing of the kind").is_empty());
}
