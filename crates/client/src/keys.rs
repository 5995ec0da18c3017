//! The IdempotencyService: do something of one's own once, whoever repeats the request for it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use pb::idempotency_service_client::IdempotencyServiceClient;

use crate::{
    Client, Error, IdempotencyKey,
    payload::{time, wire_duration},
    pb::{self, Payload},
};

/// Names a key; the actor is whoever the token is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyScope {
    pub project: String,
    pub intent: String,
    pub key: IdempotencyKey,
    /// Needed only where the token names several tenants.
    pub tenant: Option<String>,
}

impl KeyScope {
    pub fn new(project: impl Into<String>, intent: impl Into<String>, key: IdempotencyKey) -> Self {
        Self { project: project.into(), intent: intent.into(), key, tenant: None }
    }

    fn wire(&self) -> Option<pb::KeyScope> {
        Some(pb::KeyScope {
            tenant_id: self.tenant.clone().unwrap_or_default(),
            project_id: self.project.clone(),
            intent: self.intent.clone(),
            idempotency_key: String::from(&self.key),
        })
    }
}

/// How a key stands for one who asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reservation {
    /// Do the work, then complete the key with its outcome.
    Granted(Grant),
    /// Another caller works under it, or an earlier attempt of this one does whose answer was lost: ask again then.
    InProgress { lease_expires_at: Option<DateTime<Utc>> },
    /// It was done; this is the outcome.
    Completed { outcome: Payload, completed_at: Option<DateTime<Utc>>, generation: i64 },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Goes with the completion: one who was overtaken is refused.
    pub token: u64,
    pub lease_expires_at: Option<DateTime<Utc>>,
    /// An earlier holder's lease ran out: look at what it did before doing it again.
    pub earlier_outcome_unknown: bool,
    pub generation: i64,
    pub window_end: Option<DateTime<Utc>>,
}

/// Calls about keys.
#[derive(Clone)]
pub struct Keys {
    pub(crate) client: Client,
}

macro_rules! call {
    ($self:ident, $method:ident, $message:expr) => {
        $self.client.call($message, |channel, request| async move {
            IdempotencyServiceClient::new(channel).$method(request).await
        })
    };
}

impl Keys {
    /// Asks for the key. `request` is what makes two requests the same; `lease` how long the work may take before another
    /// caller may take over, 1 s to 1 h.
    pub async fn reserve(&self, scope: &KeyScope, request: Payload, lease: Duration) -> Result<Reservation, Error> {
        use pb::reserve_key_response::Outcome;
        let message = pb::ReserveKeyRequest {
            scope: scope.wire(),
            request: request.data.into(),
            content_type: request.content_type,
            lease: Some(wire_duration(lease)),
        };
        match call!(self, reserve_key, message).await?.outcome {
            Some(Outcome::Granted(granted)) => Ok(Reservation::Granted(Grant {
                token: granted.token,
                lease_expires_at: time(granted.lease_expires_at.as_ref()),
                earlier_outcome_unknown: granted.earlier_outcome_unknown,
                generation: granted.generation,
                window_end: time(granted.window_end.as_ref()),
            })),
            Some(Outcome::InProgress(busy)) => {
                Ok(Reservation::InProgress { lease_expires_at: time(busy.lease_expires_at.as_ref()) })
            }
            Some(Outcome::Completed(done)) => Ok(Reservation::Completed {
                outcome: Payload { data: done.outcome.into(), content_type: done.content_type },
                completed_at: time(done.completed_at.as_ref()),
                generation: done.generation,
            }),
            None => Err(Error::bad_answer("the answer says nothing about the key")),
        }
    }

    /// Records the outcome, at most 64 KiB, for every later caller. Answers whether it was recorded before.
    pub async fn complete(&self, scope: &KeyScope, token: u64, outcome: Payload) -> Result<bool, Error> {
        let message = pb::CompleteKeyRequest {
            scope: scope.wire(),
            token,
            outcome: outcome.data.into(),
            content_type: outcome.content_type,
        };
        Ok(call!(self, complete_key, message).await?.replayed)
    }

    /// How the key stands in its latest window.
    pub async fn get(&self, scope: &KeyScope) -> Result<pb::GetKeyResponse, Error> {
        call!(self, get_key, pb::GetKeyRequest { scope: scope.wire() }).await
    }
}
