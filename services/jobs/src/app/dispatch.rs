//! Dispatch: brings the workers that have room together with the jobs that are ready.
//!
//! One loop claims for all seats with the same rights in one transaction, so that a busy instance shares each commit among
//! many workers and an idle one answers in one commit's time. It runs when there is something new (a submission, an
//! answer, a seat; a hint from another instance) and at a slow poll, since hints may be lost.
//!
//! Where nothing waits, a submission finds its worker by itself: [`Dispatcher::match_with`] takes a place for it before
//! its transaction, which then leases the job as it queues it (see [`super::submit`]).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_fault::Fault;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::answer::Answering;
use super::lease::{Leased, Taker};
use super::seats::{Kind, Place, Room, Seats};
use super::turns::Turns;
use super::{Asking, Core};
use crate::domain::submission::Submission;
use crate::metrics;
use crate::store::StoreError;
use crate::store::claim::Wanted;

/// From the start of a round of claims that found nothing to the next: they cost a transaction each all the same.
const PAUSE_AFTER_NOTHING: Duration = Duration::from_millis(5);

/// What a round of claims came to.
#[derive(Debug, Default)]
struct Round {
    /// There may be more at once.
    is_more: bool,
    leased: usize,
    /// When it began, where nothing was leased.
    found_nothing_at: Option<Instant>,
}

/// A session's place in dispatch. Leaving is dropping it.
#[derive(Debug)]
pub struct SessionSeat {
    pub room: Arc<Room>,
    pub jobs: mpsc::UnboundedReceiver<Vec<Leased>>,
}

/// Where seats are taken. Cheap to clone.
#[derive(Clone)]
pub struct Dispatcher {
    core: Arc<Core>,
    answers: Answering,
    seats: Arc<Seats>,
    wake: Arc<Notify>,
}

impl Dispatcher {
    pub(super) fn new(core: Arc<Core>, answers: Answering) -> Self {
        let wake = core.hints.wakes().dispatch;
        Self { core, answers, seats: Arc::new(Seats::new(wake.clone())), wake }
    }

    pub fn seat_session(&self, asking: &Asking, wanted: Wanted, taker: Taker, capacity: i64) -> SessionSeat {
        let room = self.seats.room(capacity);
        let (sender, jobs) = mpsc::unbounded_channel();
        self.seats.sit(asking, wanted, taker, Kind::Session { room: room.clone(), jobs: sender });
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
        self.seats.sit(asking, wanted, taker, Kind::Request { jobs_max, until: Instant::now() + wait, reply });
        // Dropped unanswered only by a shutdown.
        Ok(answer.await.unwrap_or_else(|_| Ok(Vec::new()))?)
    }

    /// How many seats are taken, for the metrics.
    pub fn seats_taken(&self) -> usize {
        self.seats.taken()
    }

    /// A place for each of the numbered submissions for which a worker waits and which would overtake nobody.
    pub(super) fn match_with<'a>(
        &self,
        submissions: impl Iterator<Item = (usize, &'a Submission)>,
    ) -> HashMap<usize, Place> {
        self.seats.match_with(submissions)
    }

    /// Hands out jobs whose leases are committed, but for those that may no longer run: nobody has begun them, so they are
    /// given back.
    pub(super) fn hand_out(&self, jobs: impl Iterator<Item = (Place, Leased)>) {
        // While it is held nothing changes: what is handed out was handed out before the next switch was turned.
        let view = self.core.guard.view();
        let (free, held): (Vec<_>, Vec<_>) = jobs.partition(|(_, job)| view.holds(&job.job.facts).is_empty());
        self.seats.hand_out(free.into_iter(), &self.answers);
        drop(view);
        for (place, job) in held {
            self.answers.give_back(place.asking(), &[job]);
        }
    }

    /// Runs until shutdown.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut turns = Turns::default();
        let mut round = Round::default();
        while !shutdown.is_cancelled() {
            if !round.is_more {
                tokio::select! {
                    () = self.woken(&round) => {}
                    () = tokio::time::sleep(self.core.limits.dispatch.poll) => {}
                    () = shutdown.cancelled() => break,
                }
            }
            let began = Instant::now();
            round = self.round(&mut turns).await;
            round.found_nothing_at = (round.leased == 0).then_some(began);
        }
        // Requests that still wait are answered with nothing; sessions are told by their handlers.
        self.seats.clear();
    }

    /// There may be something to claim. Under load every answer says so: what comes right after a round that found
    /// nothing is gathered.
    async fn woken(&self, last: &Round) {
        loop {
            tokio::select! {
                () = self.wake.notified() => break,
                () = self.seats.room_was_given_back() => {
                    if !self.seats.are_served() {
                        break;
                    }
                }
            }
        }
        if let Some(at) = last.found_nothing_at {
            tokio::time::sleep_until((at + PAUSE_AFTER_NOTHING).into()).await;
        }
    }

    /// One claim for each group of seats with the same rights.
    async fn round(&self, turns: &mut Turns) -> Round {
        let mut round = Round::default();
        let (groups, came_later) = self.seats.places(self.core.limits.dispatch.claim_jobs_max);
        let mut failed: HashMap<Arc<Wanted>, StoreError> = HashMap::new();
        turns.retain(|wanted| self.seats.are_for(wanted));
        let mut groups = groups.into_iter();
        while let Some((wanted, places)) = groups.next() {
            match self.claim((&wanted, places), turns).await {
                Ok(claimed) => {
                    round.is_more |= claimed.is_more;
                    round.leased += claimed.leased;
                }
                Err(error) => {
                    metrics::claim_failed();
                    tracing::warn!(%error, "claim failed");
                    if matches!(&error, StoreError::Db(error) if error.is_outage()) {
                        // The others would each wait as long to find out the same.
                        failed.extend(groups.by_ref().map(|(wanted, _)| (wanted, error.clone())));
                    }
                    failed.insert(wanted, error);
                    tokio::time::sleep(self.core.limits.dispatch.poll).await;
                }
            }
        }
        self.seats.answer_overdue(came_later, &failed);
        round
    }

    /// Claims for one group; answers whether there may be more at once.
    async fn claim(
        &self,
        (wanted, places): (&Arc<Wanted>, Vec<Place>),
        turns: &mut Turns,
    ) -> Result<Round, StoreError> {
        let takers: Vec<Arc<Taker>> = places.iter().map(|place| place.taker.clone()).collect();
        let claimed = match self.core.app_db.bounded(self.core.claim(wanted, turns, &takers)).await {
            Ok(claimed) => claimed,
            Err(error) => {
                self.seats.set_drained(wanted, false);
                return Err(error);
            }
        };
        let (is_more, leased) = (claimed.is_more, claimed.leased.len());
        let mut places: Vec<Option<Place>> = places.into_iter().map(Some).collect();
        self.hand_out(claimed.leased.into_iter().filter_map(|(taker, job)| Some((places[taker].take()?, job))));
        let mut has_room = false;
        for place in places.into_iter().flatten() {
            has_room = true;
            place.put_back();
        }
        self.seats.set_drained(wanted, !is_more && has_room);
        Ok(Round { is_more, leased, ..Round::default() })
    }
}
