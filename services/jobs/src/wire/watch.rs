//! What a watch is asked for, and its resume tokens: opaque to callers, bound to the scope they were given for.
//!
//! A token grants nothing: what it resumes is looked for in the scope that the caller is let into. Its checksum finds
//! tokens that were cut, bent or given for another scope; whoever makes one up deceives nobody but himself.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use bytes::{Buf as _, BufMut as _};
use chrono::DateTime;
use holdfast_events::{EntryId, SHARDS};
use holdfast_fault::Fault;
use holdfast_ids::{Intent, TenantId};
use holdfast_proto::jobs::v1 as pb;
use uuid::Uuid;

use super::field::{elements, named, optional_id};
use super::job::known_state;
use crate::app::watch::{Filter, Place, Position, Positions, Scope, Wish};

const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 8;
const POSITION_BYTES: usize = 1 + 8 + 8 + 16;
const TOKEN_CHARS_MAX: usize = 1024;

/// Everything but the scope, which takes the caller's tenants.
pub fn wish(request: pb::WatchJobsRequest, scope: Scope) -> Result<Wish, Fault> {
    let states = elements("states", request.states, 0)?
        .into_iter()
        .enumerate()
        .map(|(index, state)| named(&format!("states[{index}]"), state, known_state))
        .collect::<Result<_, _>>()?;
    let intent = optional_id("intent", &request.intent, Intent::parse)?.map(|intent| intent.to_string());
    Ok(Wish {
        since: since(&scope, &request.resume_token)?,
        scope,
        from_start: request.from_start,
        filter: Filter { states, intent },
        catch_up_only: request.catch_up_only,
    })
}

/// The tenant that a request names, if it does.
pub fn named_tenant(project: &pb::WatchedProject) -> Result<Option<TenantId>, Fault> {
    optional_id("project.tenant_id", &project.tenant_id, TenantId::parse)
}

pub fn token(scope: &Scope, place: &Place) -> String {
    let mut bytes = vec![VERSION];
    match place {
        Place::Job { seq } => bytes.put_i64(*seq),
        Place::Project { positions, as_of } => {
            bytes.put_i64(as_of.timestamp_millis());
            for (shard, Position { entry, event_id }) in positions.iter() {
                bytes.put_u8(shard as u8);
                bytes.put_u64(entry.ms);
                bytes.put_u64(entry.seq);
                bytes.put_slice(event_id.as_bytes());
            }
        }
    }
    let checksum = checksum(scope, &bytes);
    bytes.put_slice(&checksum);
    BASE64.encode(bytes)
}

fn since(scope: &Scope, token: &str) -> Result<Option<Place>, Fault> {
    if token.is_empty() {
        return Ok(None);
    }
    let bad = || Fault::invalid("resume_token", "is not a resume_token of this watch");
    if token.len() > TOKEN_CHARS_MAX {
        return Err(bad());
    }
    let bytes = BASE64.decode(token).map_err(|_| bad())?;
    place(scope, &bytes).map(Some).ok_or_else(bad)
}

fn place(scope: &Scope, bytes: &[u8]) -> Option<Place> {
    let (said, checked) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
    if checksum(scope, said) != checked {
        return None;
    }
    let mut said = said.strip_prefix(&[VERSION])?;
    let number = said.try_get_i64().ok()?;
    match scope {
        Scope::Job { .. } => (said.is_empty() && number >= 0).then_some(Place::Job { seq: number }),
        Scope::Project { .. } => {
            let as_of = DateTime::from_timestamp_millis(number)?;
            let mut positions = Positions::default();
            let mut parts = said.chunks_exact(POSITION_BYTES);
            for mut part in parts.by_ref() {
                let shard = u16::from(part.get_u8());
                let entry = EntryId { ms: part.get_u64(), seq: part.get_u64() };
                let fits = |number| i64::try_from(number).is_ok();
                if shard >= SHARDS || !fits(entry.ms) || !fits(entry.seq) {
                    return None;
                }
                positions.set(shard, Position { entry, event_id: Uuid::from_slice(part).ok()? });
            }
            parts.remainder().is_empty().then_some(Place::Project { positions: Box::new(positions), as_of })
        }
    }
}

fn checksum(scope: &Scope, said: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = blake3::Hasher::new_derive_key("holdfast.jobs resume token");
    match scope {
        Scope::Job { job_id } => hasher.update(format!("job\n{job_id}\n").as_bytes()),
        Scope::Project { tenant_id, project_id } => {
            hasher.update(format!("project\n{tenant_id}\n{project_id}\n").as_bytes())
        }
    };
    let hash = hasher.update(said).finalize();
    let mut checksum = [0; CHECKSUM_BYTES];
    checksum.copy_from_slice(&hash.as_bytes()[..CHECKSUM_BYTES]);
    checksum
}

#[cfg(test)]
mod tests {
    use holdfast_ids::{JobId, ProjectId};

    use super::*;

    fn project(tenant: &str, project: &str) -> Scope {
        Scope::Project { tenant_id: TenantId::parse(tenant).unwrap(), project_id: ProjectId::parse(project).unwrap() }
    }

    fn far() -> Place {
        let mut positions = Positions::default();
        for shard in 0..SHARDS {
            let entry = EntryId { ms: 1_900_000_000_000 + u64::from(shard), seq: 7 };
            positions.set(shard, Position { entry, event_id: Uuid::now_v7() });
        }
        Place::Project {
            positions: Box::new(positions),
            as_of: DateTime::from_timestamp_millis(1_900_000_000_123).unwrap(),
        }
    }

    #[test]
    fn a_token_survives_and_is_small() {
        let (job, project) = (Scope::Job { job_id: JobId::new() }, project("acme", "site"));
        for (scope, place) in [(job, Place::Job { seq: 7 }), (project, far())] {
            let token = token(&scope, &place);
            assert!(token.len() < TOKEN_CHARS_MAX, "{}", token.len());
            assert_eq!(since(&scope, &token).unwrap(), Some(place));
        }
    }

    #[test]
    fn a_token_that_was_bent_cut_or_carried_elsewhere_is_refused() {
        let scope = project("acme", "site");
        let whole = token(&scope, &far());
        let refused = |scope: &Scope, token: &str| {
            let fault = since(scope, token).expect_err(token);
            assert_eq!(fault.violations[0].field, "resume_token");
        };
        for at in 0..whole.len() {
            for other in ["A", "b", "9", "_", "=", "é"] {
                if &whole[at..=at] != other {
                    refused(&scope, &[&whole[..at], other, &whole[at + 1..]].concat());
                }
            }
            if at > 0 {
                refused(&scope, &whole[..at]);
            }
        }
        refused(&scope, &format!("{whole}A"));
        refused(&scope, &"A".repeat(TOKEN_CHARS_MAX + 1));
        for elsewhere in [project("acme", "other"), project("other", "site"), Scope::Job { job_id: JobId::new() }] {
            refused(&elsewhere, &whole);
        }
    }

    /// A checksum is easily made; what is under it is checked all the same.
    #[test]
    fn numbers_that_nothing_has_are_refused() {
        let scope = project("acme", "site");
        let made = |body: &[u8]| {
            let mut bytes = body.to_vec();
            bytes.extend(checksum(&scope, body));
            since(&scope, &BASE64.encode(bytes))
        };
        let part = |shard: u8, ms: u64| {
            let mut bytes = vec![VERSION];
            bytes.put_i64(0);
            bytes.put_u8(shard);
            bytes.put_u64(ms);
            bytes.put_u64(0);
            bytes.put_slice(&[0; 16]);
            bytes
        };
        assert!(made(&part(15, 1)).is_ok());
        for bad in [vec![], vec![VERSION], vec![2; 9], part(16, 1), part(0, u64::MAX), part(0, 1)[..20].to_vec()] {
            assert!(made(&bad).is_err(), "{bad:?}");
        }
    }
}
