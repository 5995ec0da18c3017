//! Seats: the room that workers have for jobs, on this instance.
//!
//! A session's seat stays and has room for as many jobs as its worker has capacity left; a single request's seat is gone
//! once it is answered. Room is taken as a [`Place`] before a job is sought for it, and given back where none is found,
//! so that the dispatcher and the submissions that find a worker waiting never promise the same room twice.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, mpsc, oneshot};

use super::Asking;
use super::answer::Answering;
use super::lease::{Leased, Taker};
use crate::domain::submission::Submission;
use crate::metrics;
use crate::store::StoreError;
use crate::store::claim::Wanted;

/// The room of a session, shared between its handler and the dispatcher.
#[derive(Debug)]
pub struct Room {
    free: AtomicI64,
    given_back: Arc<Notify>,
}

impl Room {
    /// A job was answered or lost: there is room for another.
    pub fn give_back(&self, jobs: i64) {
        self.free.fetch_add(jobs, Ordering::AcqRel);
        self.given_back.notify_one();
    }

    /// No further jobs.
    pub fn close(&self) {
        self.free.store(i64::MIN / 2, Ordering::Release);
    }

    fn free(&self) -> usize {
        usize::try_from(self.free.load(Ordering::Acquire)).unwrap_or(0)
    }
}

/// Room for one job. Given back when dropped, and that is told, since somebody else may have been waiting for it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) taker: Arc<Taker>,
    asking: Arc<Asking>,
    seat: u64,
    /// None for a single request, whose seat goes with its answer.
    room: Option<Arc<Room>>,
}

impl Place {
    /// Gives the room back in silence: whoever sought a job for it has just looked at all there are.
    pub(super) fn put_back(mut self) {
        if let Some(room) = self.room.take() {
            room.free.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Whose room it is.
    pub(super) fn asking(&self) -> &Arc<Asking> {
        &self.asking
    }

    /// The room is taken for good.
    fn fill(mut self) -> (u64, Arc<Asking>) {
        self.room = None;
        (self.seat, self.asking.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(room) = &self.room {
            room.give_back(1);
        }
    }
}

#[derive(Debug)]
pub(super) enum Kind {
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
    taker: Arc<Taker>,
    asking: Arc<Asking>,
    kind: Kind,
}

impl Seat {
    fn free(&self) -> usize {
        match &self.kind {
            Kind::Session { room, .. } => room.free(),
            Kind::Request { reply, .. } if reply.is_closed() => 0,
            Kind::Request { jobs_max, .. } => *jobs_max,
        }
    }

    fn is_gone(&self) -> bool {
        match &self.kind {
            Kind::Session { jobs, .. } => jobs.is_closed(),
            Kind::Request { reply, .. } => reply.is_closed(),
        }
    }

    /// Under the lock of the table, after a look at [`Seat::free`]: room only grows meanwhile.
    fn place(&self) -> Place {
        let room = match &self.kind {
            Kind::Session { room, .. } => {
                room.free.fetch_sub(1, Ordering::AcqRel);
                Some(room.clone())
            }
            Kind::Request { .. } => None,
        };
        Place { taker: self.taker.clone(), asking: self.asking.clone(), seat: self.id, room }
    }
}

/// Seats with the same rights: a place for each job that they have room for.
pub(super) type Group = (Arc<Wanted>, Vec<Place>);

#[derive(Debug, Default)]
struct Table {
    seats: Vec<Seat>,
    next_id: u64,
    /// The rights under which the last claim took all there was and had room left: only there may a new job go to a
    /// worker at once without overtaking one that waits.
    drained: HashSet<Arc<Wanted>>,
    /// Which seat is the first to be offered a job, so that they take turns.
    turn: usize,
}

impl Table {
    /// Gives a seat its jobs; answers them where nobody sits there any more.
    fn give(&mut self, id: u64, jobs: Vec<Leased>) -> Option<Vec<Leased>> {
        let Some(position) = self.seats.iter().position(|seat| seat.id == id) else { return Some(jobs) };
        if let Kind::Session { jobs: sender, .. } = &self.seats[position].kind {
            return sender.send(jobs).err().map(|unsent| unsent.0);
        }
        match self.seats.swap_remove(position).kind {
            Kind::Request { reply, .. } => reply.send(Ok(jobs)).err()?.ok(),
            Kind::Session { .. } => unreachable!("answered above"),
        }
    }
}

#[derive(Debug)]
pub(super) struct Seats {
    table: Mutex<Table>,
    /// Somebody has sat down.
    wake: Arc<Notify>,
    given_back: Arc<Notify>,
}

impl Seats {
    pub(super) fn new(wake: Arc<Notify>) -> Self {
        Self { table: Mutex::default(), wake, given_back: Arc::default() }
    }

    pub(super) async fn room_was_given_back(&self) {
        self.given_back.notified().await;
    }

    /// Whether nothing that any of the seats may have was left over for lack of room.
    pub(super) fn are_served(&self) -> bool {
        let table = self.table();
        table.seats.iter().all(|seat| table.drained.contains(&seat.wanted))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn room(&self, capacity: i64) -> Arc<Room> {
        Arc::new(Room { free: AtomicI64::new(capacity), given_back: self.given_back.clone() })
    }

    pub(super) fn sit(&self, asking: &Asking, wanted: Wanted, taker: Taker, kind: Kind) {
        let (wanted, taker, asking) = (Arc::new(wanted), Arc::new(taker), Arc::new(asking.clone()));
        let mut table = self.table();
        // Under the lock: a round knows by its number who came after it had begun.
        let id = table.next_id;
        table.next_id += 1;
        table.seats.push(Seat { id, wanted, taker, asking, kind });
        drop(table);
        self.wake.notify_one();
    }

    /// Whether anybody sits there with these rights.
    pub(super) fn are_for(&self, wanted: &Wanted) -> bool {
        self.table().seats.iter().any(|seat| *seat.wanted == *wanted)
    }

    pub(super) fn taken(&self) -> usize {
        self.table().seats.len()
    }

    pub(super) fn clear(&self) {
        self.table().seats.clear();
    }

    /// The room of all seats, by rights, seats taking turns. Seats with the number that comes with them, and later ones,
    /// are not among them.
    pub(super) fn places(&self, jobs_max: usize) -> (Vec<Group>, u64) {
        let mut table = self.table();
        let Table { seats, next_id, drained, turn } = &mut *table;
        *turn = turn.wrapping_add(1);
        seats.retain(|seat| !seat.is_gone());
        drained.retain(|wanted| seats.iter().any(|seat| &seat.wanted == wanted));
        let mut groups: HashMap<&Arc<Wanted>, Vec<(&Seat, usize)>> = HashMap::new();
        for seat in seats.iter() {
            let free = seat.free();
            if free > 0 {
                groups.entry(&seat.wanted).or_default().push((seat, free));
            }
        }
        let groups =
            groups.into_iter().map(|(wanted, open)| (wanted.clone(), in_turn(open, *turn, jobs_max))).collect();
        (groups, *next_id)
    }

    /// Whether the rights are served: see [`Table::drained`].
    pub(super) fn set_drained(&self, wanted: &Arc<Wanted>, is_drained: bool) {
        let mut table = self.table();
        if is_drained {
            table.drained.insert(wanted.clone());
        } else {
            table.drained.remove(wanted);
        }
    }

    /// A place on a session for each of the submissions for which one waits; by their numbers. Where a single request
    /// waits too, none: the claim shares out what comes between the two.
    pub(super) fn match_with<'a>(
        &self,
        submissions: impl Iterator<Item = (usize, &'a Submission)>,
    ) -> HashMap<usize, Place> {
        let mut table = self.table();
        let Table { seats, drained, turn, .. } = &mut *table;
        let is_open = |seat: &&Seat| {
            matches!(seat.kind, Kind::Session { .. }) && drained.contains(&seat.wanted) && seat.free() > 0
        };
        let mut open: Vec<&Seat> = seats.iter().filter(is_open).collect();
        let requests: Vec<&Seat> = seats.iter().filter(|seat| matches!(seat.kind, Kind::Request { .. })).collect();
        let mut places = HashMap::new();
        for (number, submission) in submissions {
            if !submission.may_run_at_once() || requests.iter().any(|seat| seat.wanted.covers(submission)) {
                continue;
            }
            let seat = (0..open.len())
                .map(|step| (*turn + step) % open.len())
                .find(|position| open[*position].wanted.covers(submission));
            let Some(position) = seat else {
                // Its rights have no room left: until a claim has, nobody goes past what waits.
                drained.retain(|wanted| !wanted.covers(submission));
                continue;
            };
            let seat = open[position];
            places.insert(number, seat.place());
            *turn = position + 1;
            if seat.free() == 0 {
                open.swap_remove(position);
            }
        }
        places
    }

    /// Gives each seat its jobs. What a seat that has gone was leased is given back at once.
    pub(super) fn hand_out(&self, jobs: impl Iterator<Item = (Place, Leased)>, answers: &Answering) {
        let now = chrono::Utc::now();
        let mut by_seat: HashMap<u64, (Arc<Asking>, Vec<Leased>)> = HashMap::new();
        for (place, job) in jobs {
            metrics::picked_up(job.ready_at, now);
            let (seat, asking) = place.fill();
            by_seat.entry(seat).or_insert_with(|| (asking, Vec::new())).1.push(job);
        }
        let mut table = self.table();
        for (id, (asking, jobs)) in by_seat {
            if let Some(unheard) = table.give(id, jobs) {
                answers.give_back(&asking, &unheard);
            }
        }
    }

    /// Answers requests whose wait is over, but for those that came later than the round's claims.
    pub(super) fn answer_overdue(&self, came_later: u64, failed: &HashMap<Arc<Wanted>, StoreError>) {
        let now = Instant::now();
        let mut table = self.table();
        let mut position = 0;
        while position < table.seats.len() {
            let seat = &table.seats[position];
            let is_overdue = matches!(&seat.kind, Kind::Request { until, .. } if *until <= now);
            if is_overdue && seat.id < came_later {
                let seat = table.seats.swap_remove(position);
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

/// A place on each of the seats in turn, until none has room or there are enough. Another seat begins each time, or the
/// first would have every job that comes alone.
fn in_turn(mut open: Vec<(&Seat, usize)>, turn: usize, jobs_max: usize) -> Vec<Place> {
    let first = turn % open.len();
    open.rotate_left(first);
    let mut places = Vec::new();
    while !open.is_empty() && places.len() < jobs_max {
        for (seat, free) in &mut open {
            if places.len() == jobs_max {
                break;
            }
            places.push(seat.place());
            *free -= 1;
        }
        open.retain(|(_, free)| *free > 0);
    }
    places
}
