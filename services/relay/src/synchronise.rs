//! Agreeing with a stream before publishing to it: after a shard was taken over, after an answer did not come, after
//! Redis lost entries. Always the same steps, whatever happened:
//!
//! 1. PostgreSQL confirms the lease; without it nothing is touched.
//! 2. The epoch is raised in Redis: earlier holders add nothing from here on.
//! 3. The stream is read from its end back to the newest entry that the outbox knows under the same id. Up to there the
//!    two agree. Behind it the stream may hold entries that nobody recorded, and the outbox may know entries that the
//!    stream has lost. (Comparing the last id alone would not do: a Redis that lost its tail may have grown a new one.)
//! 4. In one transaction, under the lock of the shard's row: lost rows become unpublished, unrecorded entries are
//!    recorded, and the epoch is raised here too, so that earlier holders mark nothing from here on.
//! 5. Redis is told from where we go on, if nothing has moved since step 2.
//!
//! A failure anywhere leaves the shard unsynchronised, and all of it is done again.

use std::collections::{BTreeMap, HashSet};

use futures::future;
use holdfast_events::{EntryId, VerifyingKeys, decode};
use uuid::Uuid;

use crate::{
    domain::{
        cutoff::Cutoff,
        lease::{Head, Lease},
        source::Source,
    },
    error::RelayError,
    metrics,
    store::{Recorded, Settlement, Store},
    stream::{Claim, Outcome, Streams},
};

const ENTRIES_PER_PAGE: u64 = 64;

pub struct Synchroniser {
    pub store: Store,
    pub holder: String,
    /// Whose signatures make an unrecorded entry count.
    pub keys: VerifyingKeys,
    /// No more rows of a shard than its stream holds are published again.
    pub entries_max: u64,
}

/// What became of the leases that were to be synchronised. One that is in neither list is tried again.
#[derive(Debug, Default)]
pub struct Synchronised {
    pub ready: Vec<(Lease, Head)>,
    /// A later epoch is at work, or PostgreSQL no longer grants the lease.
    pub over: Vec<Lease>,
    /// Of a shard whose Redis did not answer; the others went on.
    pub failure: Option<RelayError>,
}

enum Claimed {
    Raised(Raised),
    Fenced(Lease),
}

/// A shard whose epoch we raised, and what its stream holds.
struct Raised {
    lease: Lease,
    incarnation: Option<Uuid>,
    newest: EntryId,
    /// The newest entry that the outbox knows under the same id; the start where there is none.
    agreed: EntryId,
    /// Entries behind that one, none of them recorded.
    unrecorded: Vec<(Uuid, EntryId)>,
}

impl Synchroniser {
    pub async fn synchronise(&self, streams: &Streams, leases: &[Lease]) -> Result<Synchronised, RelayError> {
        let mut result = Synchronised::default();
        let held = self.store.leases_held(&self.holder).await?;
        let (held, over): (Vec<Lease>, Vec<Lease>) = leases.iter().partition(|lease| held.contains(lease));
        result.over = over;
        let mut claimed = Vec::new();
        for claim in future::join_all(held.iter().map(|lease| self.claim(streams, *lease))).await {
            match claim {
                Ok(Claimed::Raised(raised)) => claimed.push(raised),
                Ok(Claimed::Fenced(lease)) => result.over.push(lease),
                Err(error) => result.failure = Some(error),
            }
        }
        for (lease, head) in self.reconcile(claimed, &mut result.over).await? {
            match streams.settle(lease, &head).await {
                Ok(Outcome::Done(())) => result.ready.push((lease, head)),
                Ok(Outcome::Fenced) => result.over.push(lease),
                Ok(Outcome::Absent | Outcome::Lost) => {}
                Err(error) => result.failure = Some(error.into()),
            }
        }
        Ok(result)
    }

    async fn claim(&self, streams: &Streams, lease: Lease) -> Result<Claimed, RelayError> {
        match streams.claim(lease).await? {
            Claim::Raised { incarnation, newest } => {
                Ok(Claimed::Raised(self.survey(streams, lease, incarnation, newest).await?))
            }
            Claim::Fenced => Ok(Claimed::Fenced(lease)),
        }
    }

    /// Walks back from the end of the stream to where it agrees with the outbox.
    async fn survey(
        &self,
        streams: &Streams,
        lease: Lease,
        incarnation: Option<Uuid>,
        newest: EntryId,
    ) -> Result<Raised, RelayError> {
        let mut claimed = Raised { lease, incarnation, newest, agreed: EntryId::START, unrecorded: Vec::new() };
        let mut before = None;
        loop {
            let page = streams.newest(lease.shard, before, ENTRIES_PER_PAGE).await?;
            let Some((oldest, _)) = page.last() else { return Ok(claimed) };
            before = Some(*oldest);
            // What is no envelope of ours is neither known to the outbox nor adopted.
            let events: Vec<_> = page
                .iter()
                .filter_map(|(id, fields)| {
                    let fields = fields.as_ref()?;
                    let event_id = Uuid::parse_str(&decode(&fields.envelope).ok()?.event_id).ok()?;
                    Some((event_id, *id, fields))
                })
                .collect();
            let entries: Vec<_> = events.iter().map(|(event_id, id, _)| (*event_id, *id)).collect();
            let unrecorded: HashSet<usize> = self.store.entries_unrecorded(&entries).await?.into_iter().collect();
            for (index, (event_id, id, fields)) in events.into_iter().enumerate() {
                if !unrecorded.contains(&index) {
                    claimed.agreed = id;
                    return Ok(claimed);
                }
                if self.keys.verify(streams.name(lease.shard), fields).is_ok() {
                    claimed.unrecorded.push((event_id, id));
                }
            }
        }
    }

    /// Makes the outbox agree with the streams, and raises the epochs there.
    async fn reconcile(
        &self,
        mut claimed: Vec<Raised>,
        over: &mut Vec<Lease>,
    ) -> Result<Vec<(Lease, Head)>, RelayError> {
        if claimed.is_empty() {
            return Ok(Vec::new());
        }
        let shards: Vec<u16> = claimed.iter().map(|shard| shard.lease.shard).collect();
        let mut recovery = self.store.recover(&shards).await?;
        let recorded: BTreeMap<u16, Recorded> =
            recovery.recorded.iter().map(|recorded| (recorded.shard, *recorded)).collect();
        claimed.retain(|shard| {
            let later = recorded.get(&shard.lease.shard).is_none_or(|recorded| recorded.epoch > shard.lease.epoch);
            if later {
                over.push(shard.lease);
            }
            !later
        });
        let acknowledged = |shard: &Raised| recorded[&shard.lease.shard].acknowledged;
        let lost: BTreeMap<u16, EntryId> = claimed
            .iter()
            .filter(|shard| shard.agreed < acknowledged(shard))
            .map(|shard| (shard.lease.shard, shard.agreed))
            .collect();
        if !lost.is_empty() {
            let shards: Vec<u16> = lost.keys().copied().collect();
            let rows = recovery.unpublish(Cutoff::behind(lost), self.entries_max).await?;
            report_loss(self.store.source(), &shards, rows);
        }
        let unrecorded: Vec<_> = claimed.iter().flat_map(|shard| shard.unrecorded.iter().copied()).collect();
        let adopted = recovery.adopt(&unrecorded).await?;
        metrics::adopted(self.store.source(), adopted);
        let settled: Vec<_> = claimed.iter().map(|shard| settlement(shard, acknowledged(shard))).collect();
        recovery.settle(&settled.iter().map(|(settlement, _)| *settlement).collect::<Vec<_>>()).await?;
        Ok(claimed.iter().zip(settled).map(|(shard, (_, head))| (shard.lease, head)).collect())
    }
}

fn settlement(shard: &Raised, acknowledged: EntryId) -> (Settlement, Head) {
    let incarnation = shard.incarnation.unwrap_or_else(Uuid::now_v7);
    let Lease { shard: number, epoch } = shard.lease;
    let highest = acknowledged.max(shard.newest);
    let floor_ms = if highest > shard.newest { highest.ms + 1 } else { 0 };
    let settlement = Settlement { shard: number, epoch, incarnation, acknowledged: highest };
    (settlement, Head { incarnation, last: shard.newest, floor_ms })
}

/// A shard that lost entries but has no rows to publish again was empty for longer than the outbox keeps rows, or was
/// found so before.
fn report_loss(source: Source, shards: &[u16], rows: u64) {
    if rows > 0 {
        metrics::stream_lost(source, shards.len(), rows);
        tracing::error!(
            source = source.name(),
            ?shards,
            rows,
            "Redis lost stream entries; they are published again under the same event ids"
        );
    }
}
