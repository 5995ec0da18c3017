//! What happened when: one board for all submitters and workers of a run.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::sync::Semaphore;

use super::tag::Tag;
use crate::measure::percentiles::{Percentiles, histogram};

/// Jobs of a run whose pickup is noted, where it does not say how many it will have.
const MEETINGS: usize = 1 << 22;

pub struct Board {
    run: u64,
    origin: Instant,
    next: AtomicU64,
    acknowledged: AtomicU64,
    done: AtomicU64,
    opens_us: AtomicU64,
    closes_us: AtomicU64,
    window: Mutex<WindowLog>,
    failures: Mutex<BTreeMap<String, u64>>,
    /// Acknowledgement and receipt of a job meet here: whoever comes second knows both times.
    meetings: Vec<AtomicU64>,
    room: Option<Semaphore>,
}

struct WindowLog {
    acknowledged: u64,
    done: u64,
    done_inside: u64,
    submit: Histogram<u64>,
    pickup: Histogram<u64>,
    whole: Histogram<u64>,
}

/// What a window saw.
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    pub acknowledged: u64,
    /// Completions acknowledged inside the window.
    pub done: u64,
    /// Of those, the jobs that were submitted inside it too.
    pub done_inside: u64,
    pub submit: Percentiles,
    /// From the submission's acknowledgement to the job in the worker's hands; 0 where the job was there first.
    pub pickup: Percentiles,
    /// From the submission's call to the acknowledged completion.
    pub whole: Percentiles,
}

impl Board {
    /// With at most `outstanding_max` jobs acknowledged but not done, where given.
    pub fn new(outstanding_max: Option<usize>) -> Self {
        Self::for_jobs(MEETINGS, outstanding_max)
    }

    /// With room for the pickups of so many jobs.
    pub fn for_jobs(jobs: usize, outstanding_max: Option<usize>) -> Self {
        Self {
            run: rand::random(),
            origin: Instant::now(),
            next: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            done: AtomicU64::new(0),
            opens_us: AtomicU64::new(u64::MAX),
            closes_us: AtomicU64::new(u64::MAX),
            window: Mutex::new(WindowLog::new()),
            failures: Mutex::default(),
            meetings: (0..jobs).map(|_| AtomicU64::new(0)).collect(),
            room: outstanding_max.map(Semaphore::new),
        }
    }

    pub fn now_us(&self) -> u64 {
        self.origin.elapsed().as_micros() as u64
    }

    pub fn next_tag(&self) -> Tag {
        Tag { run: self.run, number: self.next.fetch_add(1, SeqCst), sent_us: self.now_us() }
    }

    /// Waits until a further job may be outstanding.
    pub async fn take_room(&self) {
        if let Some(room) = &self.room {
            room.acquire().await.expect("the board never closes its room").forget();
        }
    }

    fn give_room(&self) {
        if let Some(room) = &self.room {
            room.add_permits(1);
        }
    }

    /// Begins to count anew.
    pub fn open_window(&self, length: Duration) {
        let mut window = self.window();
        *window = WindowLog::new();
        let now = self.now_us();
        self.closes_us.store(now + length.as_micros() as u64, SeqCst);
        self.opens_us.store(now, SeqCst);
    }

    pub fn counts(&self) -> Counts {
        let window = self.window();
        Counts {
            acknowledged: window.acknowledged,
            done: window.done,
            done_inside: window.done_inside,
            submit: (&window.submit).into(),
            pickup: (&window.pickup).into(),
            whole: (&window.whole).into(),
        }
    }

    /// Ever, whatever the window.
    pub fn done(&self) -> u64 {
        self.done.load(SeqCst)
    }

    /// Acknowledged but not done.
    pub fn outstanding(&self) -> u64 {
        let done = self.done.load(SeqCst);
        self.acknowledged.load(SeqCst).saturating_sub(done)
    }

    pub fn failures(&self) -> BTreeMap<String, u64> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn submitted(&self, tag: Tag) {
        let now = self.now_us();
        self.acknowledged.fetch_add(1, SeqCst);
        let received = self.meet(tag, now, Side::Submitter);
        if !self.inside(now) {
            return;
        }
        let mut window = self.window();
        window.acknowledged += 1;
        // Both ends of the call inside: one that began before the window shares nothing with it.
        if self.inside(tag.sent_us) {
            window.submit.saturating_record(now - tag.sent_us);
        }
        if received.is_some() {
            window.pickup.saturating_record(0);
        }
    }

    pub fn submission_failed(&self, status: &tonic::Status) {
        self.give_room();
        self.failed(format!("SubmitJob: {} {}", status.code(), status.message()));
    }

    pub fn failed(&self, what: String) {
        *self.failures.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
    }

    pub fn received(&self, tag: Tag) {
        let now = self.now_us();
        if let Some(acknowledged) = self.meet(tag, now, Side::Worker)
            && self.inside(acknowledged)
        {
            self.window().pickup.saturating_record(now.saturating_sub(acknowledged));
        }
    }

    pub fn completed(&self, tag: Tag) {
        let now = self.now_us();
        self.done.fetch_add(1, SeqCst);
        self.give_room();
        if tag.run != self.run || !self.inside(now) {
            return;
        }
        let mut window = self.window();
        window.done += 1;
        if self.inside(tag.sent_us) {
            window.done_inside += 1;
            window.whole.saturating_record(now - tag.sent_us);
        }
    }

    /// The other side's time, where it was here before.
    fn meet(&self, tag: Tag, now: u64, side: Side) -> Option<u64> {
        let place = self.meetings.get(usize::try_from(tag.number).ok()?).filter(|_| tag.run == self.run)?;
        let mine = now << 1 | side as u64;
        match place.compare_exchange(0, mine, SeqCst, SeqCst) {
            // A retry of the job is received a second time; the first time counted.
            Err(theirs) if theirs & 1 != side as u64 => Some(theirs >> 1),
            _ => None,
        }
    }

    fn inside(&self, time_us: u64) -> bool {
        (self.opens_us.load(SeqCst)..self.closes_us.load(SeqCst)).contains(&time_us)
    }

    fn window(&self) -> MutexGuard<'_, WindowLog> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy)]
enum Side {
    Submitter = 0,
    Worker = 1,
}

impl WindowLog {
    fn new() -> Self {
        Self { acknowledged: 0, done: 0, done_inside: 0, submit: histogram(), pickup: histogram(), whole: histogram() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_counts_where_both_its_ends_are_inside() {
        let board = Board::new(None);
        let early = board.next_tag();
        board.submitted(early);
        board.open_window(Duration::from_secs(3600));
        let inside = board.next_tag();
        board.submitted(inside);
        board.received(inside);
        for tag in [early, inside] {
            board.completed(tag);
        }
        let counts = board.counts();
        assert_eq!((counts.acknowledged, counts.done, counts.done_inside), (1, 2, 1));
        assert_eq!((counts.pickup.count, counts.whole.count), (1, 1));
        assert_eq!(board.outstanding(), 0);
    }

    #[test]
    fn a_job_received_before_its_acknowledgement_was_picked_up_at_once() {
        let board = Board::new(None);
        board.open_window(Duration::from_secs(3600));
        let tag = board.next_tag();
        board.received(tag);
        board.submitted(tag);
        let pickup = board.counts().pickup;
        assert_eq!((pickup.count, pickup.max_ms), (1, 0.0));
    }
}
