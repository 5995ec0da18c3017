//! What callers meet while PostgreSQL or Redis is away or silent, and that nothing has to be started again afterwards.

mod commits;
mod postgres;
mod redis;
mod silence;

use crate::support::*;

fn key_scope(key: &str) -> Option<pb::KeyScope> {
    Some(pb::KeyScope {
        tenant_id: String::new(),
        project_id: PROJECT.to_owned(),
        intent: "memory.write".to_owned(),
        idempotency_key: key.to_owned(),
    })
}

fn reserve_key(key: &str) -> pb::ReserveKeyRequest {
    pb::ReserveKeyRequest { scope: key_scope(key), request: b"{}".to_vec(), ..Default::default() }
}

fn complete_key(key: &str, token: u64) -> pb::CompleteKeyRequest {
    pb::CompleteKeyRequest { scope: key_scope(key), token, outcome: b"7".to_vec(), content_type: String::new() }
}

/// Reserves a key; answers its token.
async fn reserved(api: &Api, key: &str) -> anyhow::Result<u64> {
    match api.reserve_key(reserve_key(key)).await?.outcome {
        Some(pb::reserve_key_response::Outcome::Granted(granted)) => Ok(granted.token),
        other => anyhow::bail!("not granted: {other:?}"),
    }
}
