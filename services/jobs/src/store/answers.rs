//! What earlier commands did, for those that are repeated.

use holdfast_ids::JobId;
use holdfast_pg::Tx;

use super::StoreError;
use super::rows::corrupt;
use super::transitions::kept_hash;
use crate::domain::job::{StateName, Time};

#[derive(Debug, Clone)]
pub struct Asked {
    pub job_id: JobId,
    pub command_key: String,
    pub tenant_id: String,
}

#[derive(Debug, Clone)]
pub struct Recorded {
    pub to_state: StateName,
    pub actor_id: String,
    /// As the history keeps it.
    command_hash: Option<Vec<u8>>,
    hash_key: Option<Vec<u8>>,
    pub occurred_at: Time,
    /// Where the command put the job into retrying, and it is still there.
    pub next_attempt_at: Option<Time>,
}

impl Recorded {
    /// Whether a command is the repetition of this one.
    pub fn is_repeated_by(&self, hash: &[u8; 32]) -> bool {
        let kept = kept_hash(hash, self.hash_key.as_deref());
        kept.is_some_and(|kept| self.command_hash.as_deref() == Some(kept.as_slice()))
    }
}

/// The recorded answer of each, in the order asked.
pub async fn answers_recorded(tx: &mut Tx, asked: &[Asked]) -> Result<Vec<Option<Recorded>>, StoreError> {
    let job_ids: Vec<_> = asked.iter().map(|item| item.job_id.as_uuid()).collect();
    let keys: Vec<_> = asked.iter().map(|item| item.command_key.clone()).collect();
    let tenants: Vec<_> = asked.iter().map(|item| item.tenant_id.clone()).collect();
    let rows =
        sqlx::query_file!("src/store/queries/job_answers.sql", &job_ids, &keys, &tenants).fetch_all(&mut **tx).await?;
    let mut recorded = vec![None; asked.len()];
    for row in rows {
        let to_state = StateName::from_name(&row.to_state).ok_or_else(|| corrupt("job_events", "to_state"))?;
        recorded[row.ordinal as usize - 1] = Some(Recorded {
            to_state,
            actor_id: row.actor_id,
            command_hash: row.command_hash,
            hash_key: row.hash_key,
            occurred_at: row.occurred_at,
            next_attempt_at: row.next_attempt_at.filter(|_| row.is_latest),
        });
    }
    Ok(recorded)
}
