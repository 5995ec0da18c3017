//! A consumer of the event streams: reads from before the first submission on, verifies, and writes down what it saw.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use anyhow::Context;
use holdfast_events::{Delivery, StreamReader, VerifyingKeys};
use holdfast_redis::{Redis, RedisConfig};
use serde_json::json;
use tokio::time::{Instant, interval};
use tokio_util::task::AbortOnDropHandle;

use super::{LOOK_EVERY, progress::Progress, submissions::Submitted, tables::Tables};
use crate::dev::{EVENT_KEY_ID, StackInfo};

const DOMAIN: &str = "jobs";
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
const READ_PATIENCE: Duration = Duration::from_millis(500);
const CATCH_UP_PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Follower {
    seen: Arc<Mutex<Seen>>,
    reading: AbortOnDropHandle<anyhow::Result<()>>,
}

/// What came over the streams since the tour began.
#[derive(Debug, Default)]
struct Seen {
    /// Per job: the events in the order in which they came, each id once.
    by_job: BTreeMap<String, Vec<Event>>,
    ids: BTreeSet<String>,
    refused: Vec<String>,
}

#[derive(Clone, Debug)]
struct Event {
    name: String,
    key_seq: u64,
}

/// What the follower has to say about the tour's jobs.
#[derive(Debug, Default)]
pub(super) struct Followed {
    pub(super) written: usize,
    pub(super) read: usize,
    pub(super) problems: Vec<String>,
}

impl Follower {
    pub(super) async fn start(stack: &StackInfo, directory: &Path) -> anyhow::Result<Self> {
        let config = RedisConfig { connections: 1, ..RedisConfig::new(stack.redis_url()?, &stack.redis_prefix) };
        let redis = Redis::connect(&config)?;
        redis.wait_until_connected(CONNECT_PATIENCE).await.context("connecting to Redis")?;
        let keys = VerifyingKeys::default().with(EVENT_KEY_ID, &stack.event_key()?)?;
        let reader = StreamReader::from_end(&redis, DOMAIN, keys).await?;
        let path = directory.join("events.jsonl");
        let log = BufWriter::new(File::create(&path).with_context(|| path.display().to_string())?);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let reading = AbortOnDropHandle::new(tokio::spawn(read(reader, log, seen.clone())));
        Ok(Self { seen, reading })
    }

    pub(super) fn seen(&self) -> usize {
        lock(&self.seen).ids.len()
    }

    /// Waits until every event of these jobs that the tables know has come, and checks their order.
    pub(super) async fn finish(
        &mut self,
        tables: &mut Tables,
        submitted: &Submitted,
        progress: &Progress,
    ) -> anyhow::Result<Followed> {
        let written = tables.events_written(&submitted.ids()).await?;
        let deadline = Instant::now() + CATCH_UP_PATIENCE;
        let mut ticks = interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            progress.events(self.seen());
            let read = lock(&self.seen).of(submitted);
            if read >= written || Instant::now() > deadline || self.reading.is_finished() {
                break;
            }
        }
        let seen = lock(&self.seen);
        let mut problems = seen.refused.clone();
        problems.extend(submitted.jobs.keys().filter_map(|job_id| seen.disorder(job_id)));
        Ok(Followed { written, read: seen.of(submitted), problems })
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().expect("nothing panics while it holds what was seen")
}

async fn read(mut reader: StreamReader, mut log: BufWriter<File>, seen: Arc<Mutex<Seen>>) -> anyhow::Result<()> {
    loop {
        // Redis being away is waited out: what was written meanwhile comes later.
        let deliveries = reader.next(READ_PATIENCE).await.unwrap_or_default();
        for delivery in &deliveries {
            let event = delivery.event.as_ref().ok();
            let line = json!({
                "shard": delivery.shard,
                "entry": delivery.entry_id.to_string(),
                "event_id": event.map(|event| &event.event_id),
                "event": event.map(|event| &event.event_name),
                "job_id": event.map(|event| &event.job_id),
                "key_seq": event.map(|event| event.key_seq),
            });
            writeln!(log, "{line}")?;
        }
        log.flush()?;
        let mut seen = lock(&seen);
        deliveries.into_iter().for_each(|delivery| seen.take(delivery));
    }
}

impl Seen {
    fn take(&mut self, delivery: Delivery) {
        match delivery.event {
            Ok(event) => {
                // Delivered at least once: what came before changes nothing.
                if self.ids.insert(event.event_id) {
                    let event_of_job = Event { name: event.event_name, key_seq: event.key_seq };
                    // What is no transition has a key of its own: a reminder, or that a job is overdue.
                    self.by_job.entry(event.ordering_key).or_default().push(event_of_job);
                }
            }
            Err(refusal) => {
                self.refused.push(format!("entry {} of shard {}: {refusal}", delivery.entry_id, delivery.shard))
            }
        }
    }

    fn of(&self, submitted: &Submitted) -> usize {
        submitted.jobs.keys().filter_map(|job_id| self.by_job.get(job_id)).map(Vec::len).sum()
    }

    /// What is wrong with the events of a job: they begin with 1 and go on without a gap.
    fn disorder(&self, job_id: &str) -> Option<String> {
        let events = self.by_job.get(job_id)?;
        let is_ordered = events.iter().zip(1..).all(|(event, number)| event.key_seq == number);
        let told =
            || events.iter().map(|event| format!("{} {}", event.key_seq, event.name)).collect::<Vec<_>>().join(", ");
        (!is_ordered).then(|| format!("the events of job {job_id} came as {}", told()))
    }
}

#[cfg(test)]
mod tests {
    use holdfast_events::{EntryId, Envelope};

    use super::*;

    fn delivered(seen: &mut Seen, event_id: &str, key_seq: u64) {
        let event = Envelope { event_id: event_id.into(), ordering_key: "j".into(), key_seq, ..Envelope::default() };
        seen.take(Delivery { shard: 0, entry_id: EntryId::START, event: Ok(event) });
    }

    #[test]
    fn repeated_deliveries_count_once_and_a_gap_is_found() {
        let mut seen = Seen::default();
        delivered(&mut seen, "a", 1);
        delivered(&mut seen, "a", 1);
        delivered(&mut seen, "b", 2);
        assert_eq!(seen.ids.len(), 2);
        assert_eq!(seen.disorder("j"), None);
        delivered(&mut seen, "d", 4);
        assert!(seen.disorder("j").is_some());
    }
}
