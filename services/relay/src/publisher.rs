//! One round: fetch what is unpublished, add it to the streams, mark it.
//!
//! The order is what makes it safe. Rows are fetched only after the shard's epoch stands in Redis and in the outbox
//! (see [`crate::synchronise`]), so no earlier holder can add or mark anything any more. Entries are added behind the
//! one that was last seen, or not at all. Rows are marked after Redis acknowledged them. Wherever an answer stays out,
//! the shard is synchronised again before its next row is fetched.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future;
use holdfast_events::Signer;

use crate::{
    domain::{
        batch::{self, Batch, BatchLimits, Row, Unpublishable},
        lease::{Head, Lease},
        parked::Parked,
    },
    error::RelayError,
    membership::Holdings,
    metrics,
    store::{Acknowledged, Store},
    stream::{Outcome, Streams},
    synchronise::Synchroniser,
};

/// How often a stream is looked at to which nothing is published: a loss is noticed within this time.
const LOOK_AT_IDLE_STREAMS_EVERY: Duration = Duration::from_secs(1);

pub struct Publisher {
    store: Store,
    streams: Streams,
    signer: Signer,
    synchroniser: Synchroniser,
    holdings: Arc<Holdings>,
    limits: RoundLimits,
    shards: BTreeMap<u16, Shard>,
    parked: Parked,
    looked_at: Instant,
}

#[derive(Clone, Copy, Debug)]
pub struct RoundLimits {
    pub rows_per_shard: usize,
    pub batch: BatchLimits,
}

struct Shard {
    lease: Lease,
    /// Known once the shard is synchronised; unknown again after anything unexpected.
    head: Option<Head>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    pub published: usize,
    /// There is more to do at once.
    pub more: bool,
}

impl Publisher {
    pub fn new(
        store: Store,
        streams: Streams,
        signer: Signer,
        synchroniser: Synchroniser,
        holdings: Arc<Holdings>,
        limits: RoundLimits,
    ) -> Self {
        let (shards, parked) = (BTreeMap::new(), Parked::default());
        let looked_at = Instant::now();
        Self { store, streams, signer, synchroniser, holdings, limits, shards, parked, looked_at }
    }

    pub async fn run_once(&mut self) -> Result<Round, RelayError> {
        let holdings = self.holdings.clone();
        let _round = holdings.round().await;
        // A shard that cannot be synchronised now does not hold up the others.
        let failure = self.prepare().await.err();
        let fetched = self.fetch().await?;
        let round = self.publish(fetched).await?;
        if self.looked_at.elapsed() >= LOOK_AT_IDLE_STREAMS_EVERY {
            self.look_at_streams().await?;
        }
        failure.map_or(Ok(round), Err)
    }

    /// Looks whether every stream still ends where we left it. A publication finds out by itself; a stream that was lost
    /// while nothing new came would otherwise stay lost.
    pub async fn look_at_streams(&mut self) -> Result<(), RelayError> {
        let nothing = |shard| Batch { shard, rows: Vec::new(), entries: Vec::new() };
        let (_, failure) = self.add(self.shards.keys().copied().map(nothing).collect()).await;
        self.looked_at = Instant::now();
        failure.map_or(Ok(()), Err)
    }

    /// Follows the leases, and agrees with the streams of those that are new or where something unexpected happened.
    pub async fn prepare(&mut self) -> Result<(), RelayError> {
        self.follow_leases();
        self.synchronise().await
    }

    /// Rows fetched and not yet published: the point at which a paused relay is the most dangerous.
    pub async fn fetch(&mut self) -> Result<Fetched, RelayError> {
        let at = Instant::now();
        let ready: Vec<u16> =
            self.shards.values().filter(|shard| shard.head.is_some()).map(|s| s.lease.shard).collect();
        if ready.is_empty() {
            return Ok(Fetched { at, rows: Vec::new() });
        }
        let keys_left_out = self.parked.active(at);
        let rows = self.store.outbox_unpublished(&ready, self.limits.rows_per_shard, &keys_left_out).await?;
        Ok(Fetched { at, rows })
    }

    pub async fn publish(&mut self, fetched: Fetched) -> Result<Round, RelayError> {
        let mut of_shard: BTreeMap<u16, Vec<Row>> = BTreeMap::new();
        for row in fetched.rows {
            of_shard.entry(row.shard).or_default().push(row);
        }
        let mut round = Round { published: 0, more: false };
        let mut batches = Vec::with_capacity(of_shard.len());
        let mut unpublishable = Vec::new();
        for (shard, rows) in of_shard {
            round.more |= rows.len() >= self.limits.rows_per_shard;
            let sorted = batch::sort(shard, self.streams.name(shard), rows, &self.signer, self.limits.batch);
            round.more |= sorted.more;
            unpublishable.extend(sorted.unpublishable);
            if !sorted.batch.rows.is_empty() {
                batches.push(sorted.batch);
            }
        }
        // What was added is marked even where another shard's publication failed.
        let (acknowledged, failure) = self.add(batches).await;
        for rows in &acknowledged {
            metrics::acknowledged(self.store.source(), rows.rows.iter().map(|(row, _)| row), fetched.at.elapsed());
        }
        round.published = self.mark(acknowledged).await?;
        self.park(unpublishable).await?;
        failure.map_or(Ok(round), Err)
    }

    /// Forgets the shards that are no longer held; a new lease starts unsynchronised.
    fn follow_leases(&mut self) {
        let leases: BTreeMap<u16, Lease> =
            self.holdings.leases().into_iter().map(|lease| (lease.shard, lease)).collect();
        self.shards.retain(|number, shard| leases.get(number) == Some(&shard.lease));
        for (number, lease) in leases {
            self.shards.entry(number).or_insert(Shard { lease, head: None });
        }
        self.parked.keep_shards(|shard| self.shards.contains_key(&shard));
    }

    async fn synchronise(&mut self) -> Result<(), RelayError> {
        let leases: Vec<Lease> = self.shards.values().filter(|s| s.head.is_none()).map(|shard| shard.lease).collect();
        if leases.is_empty() {
            return Ok(());
        }
        let result = self.synchroniser.synchronise(&self.streams, &leases).await?;
        for (lease, head) in result.ready {
            self.shards.insert(lease.shard, Shard { lease, head: Some(head) });
        }
        for lease in result.over {
            self.give_up(lease).await?;
        }
        result.failure.map_or(Ok(()), Err)
    }

    /// A lease that Redis or PostgreSQL refused. Released too, so that the next holder comes with a later epoch at once:
    /// Redis may know one that PostgreSQL has lost.
    async fn give_up(&mut self, lease: Lease) -> Result<(), RelayError> {
        let source = self.store.source().name();
        tracing::warn!(source, shard = lease.shard, epoch = lease.epoch, "fenced: another relay holds the shard");
        metrics::fenced(self.store.source());
        self.shards.remove(&lease.shard);
        self.holdings.drop_lease(lease);
        Ok(self.store.leases_release(&self.synchroniser.holder, &[lease]).await?)
    }

    /// Adds every shard's batch at the same time. Answers what Redis acknowledged, and the failure of those it did not.
    async fn add(&mut self, batches: Vec<Batch>) -> (Vec<Acknowledged>, Option<RelayError>) {
        let source = self.store.source().name();
        let ready: Vec<(Lease, Head, Batch)> = batches
            .into_iter()
            .filter_map(|batch| {
                let shard = self.shards.get(&batch.shard)?;
                Some((shard.lease, shard.head?, batch))
            })
            .collect();
        let calls = ready.iter().map(|(lease, head, batch)| self.streams.publish(*lease, head, &batch.entries));
        let answers = future::join_all(calls).await;
        let mut acknowledged = Vec::with_capacity(ready.len());
        let mut failure = None;
        for ((lease, head, batch), answer) in ready.into_iter().zip(answers) {
            // Known again only where the answer says where the stream ends.
            let known = match answer {
                Ok(Outcome::Done(ids)) => {
                    let known = ids.last().map_or(head, |&last| Head { last, floor_ms: 0, ..head });
                    if !ids.is_empty() {
                        acknowledged.push(Acknowledged { lease, rows: batch.rows.into_iter().zip(ids).collect() });
                    }
                    Some(known)
                }
                Ok(refused) => {
                    tracing::warn!(source, shard = lease.shard, epoch = lease.epoch, ?refused, "publication refused");
                    None
                }
                Err(error) => {
                    failure = Some(error.into());
                    None
                }
            };
            self.shards.insert(lease.shard, Shard { lease, head: known });
        }
        (acknowledged, failure)
    }

    /// Marks what was acknowledged. Where that fails, the entries are found again in the stream and adopted.
    async fn mark(&mut self, acknowledged: Vec<Acknowledged>) -> Result<usize, RelayError> {
        if acknowledged.is_empty() {
            return Ok(0);
        }
        let marked = self.store.outbox_mark_published(&acknowledged).await;
        let held = marked.as_deref().unwrap_or_default();
        let mut published = 0;
        for of_shard in &acknowledged {
            if held.contains(&of_shard.lease.shard) {
                published += of_shard.rows.len();
                if !self.parked.is_empty() {
                    of_shard.rows.iter().for_each(|(row, _)| self.parked.released(&row.ordering_key));
                }
            } else {
                self.shards.insert(of_shard.lease.shard, Shard { lease: of_shard.lease, head: None });
            }
        }
        metrics::published(self.store.source(), published);
        marked?;
        Ok(published)
    }

    async fn park(&mut self, unpublishable: Vec<(Row, Unpublishable)>) -> Result<(), RelayError> {
        if !unpublishable.is_empty() {
            metrics::unpublishable(self.store.source(), unpublishable.len());
            for (row, reason) in &unpublishable {
                let back_off = self.parked.park(&row.ordering_key, row.shard, Instant::now());
                tracing::error!(
                    source = self.store.source().name(), outbox_id = %row.outbox_id, ordering_key = row.ordering_key, key_seq = row.key_seq,
                    retry_count = row.retry_count + 1, back_off_ms = back_off.as_millis() as u64, %reason,
                    "an event cannot be published; its key is parked"
                );
            }
            let rows: Vec<&Row> = unpublishable.iter().map(|(row, _)| row).collect();
            self.store.outbox_count_failure(&rows).await?;
        }
        metrics::parked_keys(self.store.source(), self.parked.len());
        Ok(())
    }
}

#[derive(Debug)]
pub struct Fetched {
    at: Instant,
    pub rows: Vec<Row>,
}
