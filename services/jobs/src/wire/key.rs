//! Reserved keys.

use std::time::Duration;

use holdfast_fault::Fault;
use holdfast_ids::{IdempotencyKey, Intent, ProjectId, TenantId};
use holdfast_proto::jobs::v1 as pb;

use super::field::{bytes_within, duration, id, media_type, optional_id, required, timestamp};
use crate::app::keys::{NamedKey, Reserved, SeenKey};
use crate::domain::key::Use;
use crate::domain::payload::{PAYLOAD_BYTES_MAX, Payload};

const OUTCOME_BYTES_MAX: usize = 64 * 1024;
const LEASE_DEFAULT: Duration = Duration::from_secs(30);
const LEASE_MIN: Duration = Duration::from_secs(1);
const LEASE_MAX: Duration = Duration::from_secs(3600);

pub fn named_key(scope: Option<pb::KeyScope>) -> Result<NamedKey, Fault> {
    let scope = required("scope", scope)?;
    Ok(NamedKey {
        tenant_id: optional_id("scope.tenant_id", &scope.tenant_id, TenantId::parse)?,
        project_id: id("scope.project_id", &scope.project_id, ProjectId::parse)?,
        intent: id("scope.intent", &scope.intent, Intent::parse)?,
        key: id("scope.idempotency_key", &scope.idempotency_key, IdempotencyKey::parse)?,
    })
}

pub struct Reservation {
    pub key: NamedKey,
    pub request: Vec<u8>,
    pub content_type: String,
    pub lease: Duration,
}

impl TryFrom<pb::ReserveKeyRequest> for Reservation {
    type Error = Fault;

    fn try_from(request: pb::ReserveKeyRequest) -> Result<Self, Fault> {
        let key = named_key(request.scope)?;
        if request.request.is_empty() {
            return Err(Fault::missing("request"));
        }
        bytes_within("request", request.request.len(), PAYLOAD_BYTES_MAX)?;
        let lease = request.lease.map(|lease| duration("lease", lease, LEASE_MIN, LEASE_MAX)).transpose()?;
        Ok(Self {
            key,
            request: request.request,
            content_type: media_type("content_type", request.content_type)?,
            lease: lease.unwrap_or(LEASE_DEFAULT),
        })
    }
}

pub struct Completion {
    pub key: NamedKey,
    pub token: i64,
    pub outcome: Payload,
}

impl TryFrom<pb::CompleteKeyRequest> for Completion {
    type Error = Fault;

    fn try_from(request: pb::CompleteKeyRequest) -> Result<Self, Fault> {
        let key = named_key(request.scope)?;
        let token = match i64::try_from(request.token) {
            Ok(0) => return Err(Fault::missing("token")),
            Ok(token) => token,
            Err(_) => return Err(Fault::invalid("token", "is not a reservation token")),
        };
        bytes_within("outcome", request.outcome.len(), OUTCOME_BYTES_MAX)?;
        let content_type = media_type("content_type", request.content_type)?;
        Ok(Self { key, token, outcome: Payload { data: request.outcome.into(), content_type } })
    }
}

impl From<Reserved> for pb::ReserveKeyResponse {
    fn from(reserved: Reserved) -> Self {
        use pb::reserve_key_response::{Completed, Granted, InProgress, Outcome};
        let outcome = match reserved {
            Reserved::Granted { token, lease_expires_at, earlier_outcome_unknown, generation, window_end } => {
                Outcome::Granted(Granted {
                    token: token.unsigned_abs(),
                    lease_expires_at: Some(timestamp(lease_expires_at)),
                    earlier_outcome_unknown,
                    generation,
                    window_end: Some(timestamp(window_end)),
                })
            }
            Reserved::InProgress { lease_expires_at } => {
                Outcome::InProgress(InProgress { lease_expires_at: Some(timestamp(lease_expires_at)) })
            }
            Reserved::Completed { outcome, completed_at, generation } => Outcome::Completed(Completed {
                outcome: outcome.data.to_vec(),
                content_type: outcome.content_type,
                completed_at: Some(timestamp(completed_at)),
                generation,
            }),
        };
        Self { outcome: Some(outcome) }
    }
}

impl From<SeenKey> for pb::GetKeyResponse {
    fn from(key: SeenKey) -> Self {
        let mut response = Self {
            state: pb::KeyState::Completed.into(),
            generation: key.head.generation,
            first_seen_at: Some(timestamp(key.first_seen_at)),
            last_seen_at: Some(timestamp(key.last_seen_at)),
            window_end: Some(timestamp(key.head.window_end)),
            ..Self::default()
        };
        match key.head.use_ {
            Use::Job(job_id) => response.job_id = job_id.to_string(),
            Use::Reserved { lease_expires_at, .. } => {
                response.state = pb::KeyState::Reserved.into();
                response.lease_expires_at = Some(timestamp(lease_expires_at));
            }
            Use::Completed { outcome, .. } => {
                response.outcome = outcome.data.to_vec();
                response.content_type = outcome.content_type;
            }
        }
        response
    }
}
