//! Until when a lease is certainly held, by this side's monotonic clock, and why it is no longer.
//!
//! The service counts a lease from when it took a request, which is after that was sent: counted from the sending, it ends here
//! before it ends there, and nobody is granted its resources before it is stale, later still. Once over it stays over,
//! whatever is answered afterwards: its holder may have been told.

use std::{fmt, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{Error, Reason};

/// Why a lease is no longer held.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LockLoss {
    /// No heartbeat succeeded in time: it has run out by this side's clock. With what the latest failed with.
    Expired(Option<Error>),
    /// The service says that it is over.
    Stale(Error),
    /// Somebody took it by force.
    Forced(Error),
    /// It was renewed as often as it may be, and has run out.
    RenewalsExhausted(Error),
    /// Its guard released it, or was dropped.
    Released,
}

impl fmt::Display for LockLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired(None) => f.write_str("the lease has run out"),
            Self::Expired(Some(error)) => write!(f, "the lease has run out; the latest heartbeat failed: {error}"),
            Self::Stale(error) => write!(f, "the lease is over: {error}"),
            Self::Forced(error) => write!(f, "the lease was taken by force: {error}"),
            Self::RenewalsExhausted(error) => write!(f, "the lease has run out: {error}"),
            Self::Released => f.write_str("the lease was released"),
        }
    }
}

impl std::error::Error for LockLoss {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Expired(error) => error.as_ref().map(|error| error as _),
            Self::Stale(error) | Self::Forced(error) | Self::RenewalsExhausted(error) => Some(error),
            Self::Released => None,
        }
    }
}

/// What one answer says: held from here, where it was asked for, to there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) from: Instant,
    pub(super) until: Instant,
}

impl Stretch {
    pub(super) fn new(from: Instant, lasts: Duration) -> Self {
        Self { from, until: from.checked_add(lasts).unwrap_or(from) }
    }

    pub(super) fn lasts(&self) -> Duration {
        self.until - self.from
    }

    /// With a third of it left two heartbeats were due that did not come.
    fn at_risk_from(&self) -> Instant {
        self.until - self.lasts() / 3
    }

    pub(super) fn heartbeat_at(&self, interval: Duration) -> Instant {
        self.from + interval.min(self.lasts() / 3)
    }
}

#[derive(Debug)]
pub(super) struct Term {
    state: watch::Sender<State>,
}

#[derive(Debug)]
struct State {
    stretch: Stretch,
    /// The latest heartbeat's.
    failure: Option<Error>,
    /// No heartbeat will be taken any more.
    exhausted: Option<Error>,
    loss: Option<LockLoss>,
}

impl State {
    /// Whether it has run out just now.
    fn run_out(&mut self) -> bool {
        let has_run_out = self.loss.is_none() && self.stretch.until <= Instant::now();
        if has_run_out {
            self.loss = Some(match self.exhausted.take() {
                Some(error) => LockLoss::RenewalsExhausted(error),
                None => LockLoss::Expired(self.failure.take()),
            });
        }
        has_run_out
    }
}

/// What becomes of a lease whose heartbeat failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterFailure {
    TryAgain,
    /// It is over, or will be.
    GiveUp,
}

impl Term {
    pub(super) fn new(stretch: Stretch) -> Self {
        let state = State { stretch, failure: None, exhausted: None, loss: None };
        Self { state: watch::Sender::new(state) }
    }

    /// The clock is looked at each time: one that was paused finds out before anybody could tell it.
    pub(super) fn loss(&self) -> Option<LockLoss> {
        self.state.send_if_modified(State::run_out);
        self.state.borrow().loss.clone()
    }

    pub(super) fn time_left(&self) -> Duration {
        match self.loss() {
            None => self.stretch().until.saturating_duration_since(Instant::now()),
            Some(_) => Duration::ZERO,
        }
    }

    pub(super) fn stretch(&self) -> Stretch {
        self.state.borrow().stretch
    }

    pub(super) fn is_at_risk(&self) -> bool {
        self.loss().is_some() || {
            let state = self.state.borrow();
            state.exhausted.is_some() || state.stretch.at_risk_from() <= Instant::now()
        }
    }

    pub(super) fn renewed(&self, stretch: Stretch) {
        self.changed(|state| {
            if stretch.until > state.stretch.until {
                state.stretch = stretch;
            }
            state.failure = None;
        });
    }

    pub(super) fn failed(&self, error: Error) -> AfterFailure {
        let is_over = error.is(Reason::Lock409StaleFence);
        let is_exhausted = error.is(Reason::Lock409RenewalsExhausted);
        self.changed(|state| {
            if is_over {
                let is_forced = error.metadata.get("ended").is_some_and(|ended| ended == "forced");
                let loss = if is_forced { LockLoss::Forced } else { LockLoss::Stale };
                state.loss = Some(loss(error));
            } else if is_exhausted {
                state.exhausted = Some(error);
            } else {
                state.failure = Some(error);
            }
        });
        if is_over || is_exhausted { AfterFailure::GiveUp } else { AfterFailure::TryAgain }
    }

    pub(super) fn released(&self) {
        self.changed(|state| state.loss = Some(LockLoss::Released));
    }

    pub(super) async fn over(&self) -> LockLoss {
        let mut state = self.state.subscribe();
        loop {
            if let Some(loss) = self.loss() {
                return loss;
            }
            let until = state.borrow_and_update().stretch.until;
            tokio::select! {
                _ = state.changed() => {}
                () = sleep_until(until) => {}
            }
        }
    }

    pub(super) async fn at_risk(&self) {
        let mut state = self.state.subscribe();
        while !self.is_at_risk() {
            let from = state.borrow_and_update().stretch.at_risk_from();
            tokio::select! {
                _ = state.changed() => {}
                () = sleep_until(from) => {}
            }
        }
    }

    /// A loss is final, and the clock's goes before what anybody says after it.
    fn changed(&self, change: impl FnOnce(&mut State)) {
        self.state.send_if_modified(|state| {
            let has_run_out = state.run_out();
            if state.loss.is_none() {
                change(state);
                return true;
            }
            has_run_out
        });
    }
}

#[cfg(test)]
mod tests {
    use holdfast_fault::Fault;
    use tokio::time::advance;
    use tonic::Status;

    use super::*;

    const TTL: Duration = Duration::from_secs(15);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn refused(reason: Reason, metadata: &[(&str, &str)]) -> Error {
        let fault = metadata.iter().fold(Fault::new(reason, "why"), |fault, (key, value)| fault.with(*key, *value));
        let status = Status::from(fault);
        Error::of_status(Status::with_details(status.code(), status.message(), status.details().to_vec().into()))
    }

    fn granted_now() -> Term {
        Term::new(Stretch::new(Instant::now(), TTL))
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_lasts_from_when_its_renewal_was_sent_not_from_its_answer() {
        let term = granted_now();
        advance(seconds(5)).await;
        let sent_at = Instant::now();
        advance(seconds(4)).await;
        term.renewed(Stretch::new(sent_at, TTL));
        assert_eq!(term.time_left(), seconds(11));
        advance(seconds(11)).await;
        assert!(matches!(term.loss(), Some(LockLoss::Expired(None))));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_lost_stays_lost_whatever_is_answered_later() {
        let term = granted_now();
        let sent_at = Instant::now();
        advance(TTL).await;
        term.renewed(Stretch::new(sent_at + seconds(14), TTL));
        assert!(matches!(term.over().await, LockLoss::Expired(None)));
        term.failed(refused(Reason::Lock409StaleFence, &[("ended", "forced")]));
        assert!(matches!(term.loss(), Some(LockLoss::Expired(None))), "nobody has heard of force");
        assert!(term.time_left().is_zero() && term.is_at_risk());
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_answer_does_not_shorten_what_is_known() {
        let term = granted_now();
        term.renewed(Stretch::new(Instant::now(), seconds(3)));
        assert_eq!(term.time_left(), TTL);
    }

    #[tokio::test(start_paused = true)]
    async fn the_holder_is_warned_when_a_third_is_left_and_told_when_nothing_is() {
        let (term, began) = (granted_now(), Instant::now());
        let later = refused(Reason::Infra503DependencyDown, &[]);
        assert_eq!(term.failed(later), AfterFailure::TryAgain);
        term.at_risk().await;
        assert_eq!((began.elapsed(), term.loss().is_none()), (seconds(10), true));
        let LockLoss::Expired(Some(error)) = term.over().await else { panic!("it ran out") };
        assert_eq!((began.elapsed(), error.is(Reason::Infra503DependencyDown)), (TTL, true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_ends_the_risk() {
        let (term, began) = (granted_now(), Instant::now());
        advance(seconds(12)).await;
        assert!(term.is_at_risk());
        term.renewed(Stretch::new(Instant::now(), TTL));
        assert!(!term.is_at_risk());
        term.at_risk().await;
        assert_eq!(began.elapsed(), seconds(22));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_over_is_lost_at_once_and_says_by_whom() {
        for (ended, is_forced) in [("forced", true), ("expired", false)] {
            let (term, began) = (granted_now(), Instant::now());
            let waiting = async {
                tokio::join!(term.over(), async {
                    assert_eq!(
                        term.failed(refused(Reason::Lock409StaleFence, &[("ended", ended)])),
                        AfterFailure::GiveUp
                    );
                })
            };
            let (loss, ()) = waiting.await;
            assert_eq!((matches!(loss, LockLoss::Forced(_)), began.elapsed()), (is_forced, Duration::ZERO), "{loss}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_cannot_be_renewed_any_more_is_at_risk_at_once_and_lost_when_it_ends() {
        let (term, began) = (granted_now(), Instant::now());
        assert_eq!(term.failed(refused(Reason::Lock409RenewalsExhausted, &[])), AfterFailure::GiveUp);
        term.at_risk().await;
        assert_eq!((began.elapsed(), term.loss().is_none()), (Duration::ZERO, true));
        assert!(matches!(term.over().await, LockLoss::RenewalsExhausted(_)));
        assert_eq!(began.elapsed(), TTL);
    }

    #[tokio::test(start_paused = true)]
    async fn watchers_do_not_wake_each_other_for_ever() {
        let (term, began) = (granted_now(), Instant::now());
        tokio::join!(term.over(), term.over(), term.at_risk());
        assert_eq!(began.elapsed(), TTL);
    }
}
