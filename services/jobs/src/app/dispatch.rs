//! Dispatch: brings the workers that have room together with the jobs that are ready.
//!
//! Workers take seats: a session's seat stays and has room for as many jobs as the session has capacity left, a single
//! request's seat is gone once it is answered. One loop claims for all seats with the same rights in one transaction, so
//! that a busy instance shares each commit among many workers and an idle one answers in one commit's time. It runs when
//! there is something new (a submission, an answer, a seat; a hint from another instance) and at a slow poll, since hints
//! may be lost.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use holdfast_fault::Fault;
use holdfast_pg::DbError;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::answer::{LeaseRef, Verdict};
use super::lease::{Leased, Taker};
use super::{App, Asking, Core};
use crate::metrics;
use crate::store::StoreError;
use crate::store::claim::{Cursor, Wanted};

/// The room of a session, shared between its handler and the dispatcher.
#[derive(Debug)]
pub struct Room {
    free: AtomicI64,
    wake: Arc<Notify>,
}

impl Room {
    /// A job was answered or lost: there is room for another.
    pub fn give_back(&self, jobs: i64) {
        self.free.fetch_add(jobs, Ordering::AcqRel);
        self.wake.notify_one();
    }

    /// No further jobs.
    pub fn close(&self) {
        self.free.store(i64::MIN / 2, Ordering::Release);
    }

    fn free(&self) -> usize {
        usize::try_from(self.free.load(Ordering::Acquire)).unwrap_or(0)
    }

    fn take(&self, jobs: usize) {
        self.free.fetch_sub(jobs as i64, Ordering::AcqRel);
    }
}

#[derive(Debug)]
enum Kind {
    Session {
        room: Arc<Room>,
        jobs: mpsc::UnboundedSender<Vec<Leased>>,
    },
    /// Answered once: with the first jobs, or at the end of the wait with none, or with why the claim failed.
    Request {
        jobs_max: usize,
        until: Instant,
        reply: oneshot::Sender<Result<Vec<Leased>, StoreError>>,
    },
}

#[derive(Debug)]
struct Seat {
    id: u64,
    wanted: Arc<Wanted>,
    taker: Taker,
    asking: Asking,
    kind: Kind,
}

impl Seat {
    fn free(&self) -> usize {
        match &self.kind {
            Kind::Session { room, .. } => room.free(),
            Kind::Request { jobs_max, reply, .. } => {
                if reply.is_closed() {
                    0
                } else {
                    *jobs_max
                }
            }
        }
    }

    fn is_gone(&self) -> bool {
        match &self.kind {
            Kind::Session { jobs, .. } => jobs.is_closed(),
            Kind::Request { reply, .. } => reply.is_closed(),
        }
    }
}

/// Seats with the same rights: a taker, with its seat's id, for each job that they have room for.
type Group = (Arc<Wanted>, Vec<(Taker, u64)>);

/// A session's place in dispatch. Leaving is dropping it.
#[derive(Debug)]
pub struct SessionSeat {
    pub room: Arc<Room>,
    pub jobs: mpsc::UnboundedReceiver<Vec<Leased>>,
}

/// Where seats are taken. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Dispatcher {
    core: Arc<Core>,
    seats: Arc<Mutex<Vec<Seat>>>,
    ids: Arc<AtomicU64>,
    wake: Arc<Notify>,
}

impl Dispatcher {
    pub(super) fn new(core: Arc<Core>) -> Self {
        let wake = core.hints.dispatch_wake();
        Self { core, seats: Arc::default(), ids: Arc::default(), wake }
    }

    pub fn seat_session(&self, asking: &Asking, wanted: Wanted, taker: Taker, capacity: i64) -> SessionSeat {
        let room = Arc::new(Room { free: AtomicI64::new(capacity), wake: self.wake.clone() });
        let (sender, jobs) = mpsc::unbounded_channel();
        self.sit(asking, wanted, taker, Kind::Session { room: room.clone(), jobs: sender });
        SessionSeat { room, jobs }
    }

    /// Waits for up to `jobs_max` jobs; answers as soon as there is one, and with none after `wait`. Fails where the last
    /// look before the end of the wait failed: that there are no jobs is not known then.
    pub async fn request(
        &self,
        asking: &Asking,
        wanted: Wanted,
        taker: Taker,
        jobs_max: usize,
        wait: Duration,
    ) -> Result<Vec<Leased>, Fault> {
        let (reply, answer) = oneshot::channel();
        self.sit(asking, wanted, taker, Kind::Request { jobs_max, until: Instant::now() + wait, reply });
        // Dropped unanswered only by a shutdown.
        Ok(answer.await.unwrap_or_else(|_| Ok(Vec::new()))?)
    }

    fn sit(&self, asking: &Asking, wanted: Wanted, taker: Taker, kind: Kind) {
        let (wanted, asking) = (Arc::new(wanted), asking.clone());
        let mut seats = self.seats();
        // Under the lock: a round knows by its number who came after it had begun.
        seats.push(Seat { id: self.ids.fetch_add(1, Ordering::Relaxed), wanted, taker, asking, kind });
        drop(seats);
        self.wake.notify_one();
    }

    fn seats(&self) -> std::sync::MutexGuard<'_, Vec<Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many seats are taken, for the metrics.
    pub fn seats_taken(&self) -> usize {
        self.seats().len()
    }

    /// Runs until shutdown.
    pub async fn run(self, app: App, shutdown: CancellationToken) {
        let mut cursors: HashMap<Arc<Wanted>, Cursor> = HashMap::new();
        let mut again = false;
        loop {
            if !again {
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = tokio::time::sleep(self.core.limits.dispatch.poll) => {}
                    () = shutdown.cancelled() => break,
                }
            }
            if shutdown.is_cancelled() {
                break;
            }
            again = self.round(&app, &mut cursors).await;
        }
        // Requests that still wait are answered with nothing; sessions are told by their handlers.
        self.seats().clear();
    }

    /// One claim for each group of seats with the same rights; answers whether there may be more at once.
    async fn round(&self, app: &App, cursors: &mut HashMap<Arc<Wanted>, Cursor>) -> bool {
        self.seats().retain(|seat| !seat.is_gone());
        let mut more = false;
        let (groups, came_later) = self.groups();
        let mut failed: HashMap<Arc<Wanted>, StoreError> = HashMap::new();
        cursors.retain(|wanted, _| groups.iter().any(|(own, _)| own == wanted));
        let mut groups = groups.into_iter();
        while let Some((wanted, room)) = groups.next() {
            let (takers, seats): (Vec<Taker>, Vec<u64>) = room.into_iter().unzip();
            let cursor = cursors.entry(wanted.clone()).or_default();
            match self.core.claim(&wanted, cursor, &takers).await {
                Ok(claimed) => {
                    // At the end of the scan it begins again from the front; a scan that began in the middle has not
                    // seen the front yet.
                    let wrapped = claimed.cursor.is_none() && *cursor != Cursor::default();
                    more |= claimed.cursor.is_some() || wrapped;
                    *cursor = claimed.cursor.unwrap_or_default();
                    self.hand_out(app, claimed.leased, &seats);
                }
                Err(error) => {
                    metrics::claim_failed();
                    tracing::warn!(%error, "claim failed");
                    if matches!(error, StoreError::Db(DbError::Unavailable(_))) {
                        // The others would each wait as long to find out the same.
                        failed.extend(groups.by_ref().map(|(wanted, _)| (wanted, error.clone())));
                    }
                    failed.insert(wanted, error);
                    tokio::time::sleep(self.core.limits.dispatch.poll).await;
                }
            }
        }
        self.answer_overdue(came_later, &failed);
        more
    }

    /// The seats with room, by rights; each as one taker a job it has room for, seats taking turns. Seats with the number
    /// that comes with them, and later ones, are not among them.
    fn groups(&self) -> (Vec<Group>, u64) {
        let jobs_max = self.core.limits.dispatch.claim_jobs_max;
        let seats = self.seats();
        let came_later = self.ids.load(Ordering::Relaxed);
        let mut groups: HashMap<Arc<Wanted>, Vec<(&Seat, usize)>> = HashMap::new();
        for seat in seats.iter() {
            let free = seat.free();
            if free > 0 {
                groups.entry(seat.wanted.clone()).or_default().push((seat, free));
            }
        }
        let groups = groups
            .into_iter()
            .map(|(wanted, mut open)| {
                let mut takers = Vec::new();
                while !open.is_empty() && takers.len() < jobs_max {
                    for (seat, free) in &mut open {
                        takers.push((seat.taker.clone(), seat.id));
                        *free -= 1;
                    }
                    open.retain(|(_, free)| *free > 0);
                }
                takers.truncate(jobs_max);
                (wanted, takers)
            })
            .collect();
        (groups, came_later)
    }

    /// Gives each seat its jobs. What a seat that has gone was leased is given back at once, at no cost of an attempt.
    fn hand_out(&self, app: &App, leased: Vec<Leased>, seat_of_taker: &[u64]) {
        let now = chrono::Utc::now();
        let mut by_seat: HashMap<u64, Vec<Leased>> = HashMap::new();
        for job in leased {
            metrics::picked_up(job.ready_at, now);
            by_seat.entry(seat_of_taker[job.taker]).or_default().push(job);
        }
        let mut seats = self.seats();
        for (id, jobs) in by_seat {
            let Some(position) = seats.iter().position(|seat| seat.id == id) else { continue };
            let unheard = match &seats[position].kind {
                Kind::Session { room, jobs: sender } => {
                    room.take(jobs.len());
                    sender.send(jobs).err().map(|unsent| unsent.0)
                }
                Kind::Request { .. } => {
                    let seat = seats.swap_remove(position);
                    let Kind::Request { reply, .. } = seat.kind else { unreachable!("matched above") };
                    if let Err(Ok(jobs)) = reply.send(Ok(jobs)) {
                        give_back(app, &seat.asking, &jobs);
                    }
                    None
                }
            };
            if let Some(jobs) = unheard {
                give_back(app, &seats[position].asking, &jobs);
            }
        }
    }

    /// Answers requests whose wait is over, but for those that came later than the round's claims.
    fn answer_overdue(&self, came_later: u64, failed: &HashMap<Arc<Wanted>, StoreError>) {
        let now = Instant::now();
        let mut seats = self.seats();
        let mut position = 0;
        while position < seats.len() {
            let seat = &seats[position];
            let is_overdue = matches!(&seat.kind, Kind::Request { until, .. } if *until <= now);
            if is_overdue && seat.id < came_later {
                let seat = seats.swap_remove(position);
                if let Kind::Request { reply, .. } = seat.kind {
                    // A caller that has gone needs no answer.
                    let _ = reply.send(failed.get(&seat.wanted).cloned().map_or_else(|| Ok(Vec::new()), Err));
                }
            } else {
                position += 1;
            }
        }
    }
}

/// Releases leases that nobody took note of.
pub fn give_back(app: &App, asking: &Asking, jobs: &[Leased]) {
    for job in jobs {
        let lease = LeaseRef { job_id: job.job.facts.job_id, lease_id: job.lease.lease_id, fence: job.lease.fence };
        let (app, asking) = (app.clone(), asking.clone());
        tokio::spawn(async move {
            if let Err(fault) = app.answer(&asking, lease, Verdict::Release).await {
                // It runs out by itself.
                log_unreleased(&fault);
            }
        });
    }
}

fn log_unreleased(fault: &Fault) {
    tracing::info!(reason = fault.wire_name(), "a lease that nobody took could not be given back");
}
