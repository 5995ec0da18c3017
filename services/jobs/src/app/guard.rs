//! What this instance knows of policy: which kill switches are on, and whether it can know.
//!
//! In memory, fed from outside (see `crate::policy`): by snapshots, which say all there is, and by events between them, which
//! come sooner and may be lost. What a snapshot confirms is good for as long as its age says; an event confirms nothing, since
//! one that is missing says nothing. Every change of a switch has a version; of one switch the highest counts, however the
//! two sources overtake each other.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use holdfast_fault::{Fault, Reason};
use tokio::sync::Notify;

use crate::domain::hold::{Hold, Switch, Work};
use crate::domain::job::Tier;
use crate::store::holds::Stops;

/// What the age of the latest snapshot comes to.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Policy counts as away from then on: tiers B and C are held.
    pub away_after: Duration,
    /// What is known is too old for tier A too.
    pub cache: Duration,
    /// Nothing new is taken.
    pub refuse_after: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// There is no policy service, and no switch; so it was configured.
    Standalone,
    Known,
    /// Policy is away; what is known is still good for tier A.
    Away,
    /// Nobody can know whether a switch is on.
    Unknown,
    /// The same, for too long.
    Lost,
}

impl Standing {
    /// Held whatever the switches say.
    fn held_tiers(self) -> &'static [Tier] {
        match self {
            Self::Standalone | Self::Known => &[],
            Self::Away => &[Tier::B, Tier::C],
            Self::Unknown | Self::Lost => &[Tier::A, Tier::B, Tier::C],
        }
    }
}

#[derive(Debug)]
pub struct Guard {
    /// None: standalone.
    patience: Option<Patience>,
    known: RwLock<Known>,
    /// What may go on has changed.
    pub changed: Notify,
}

#[derive(Debug)]
struct Known {
    since: Instant,
    /// Of the latest snapshot, and when it was asked for.
    version: u64,
    confirmed: Option<Instant>,
    /// What the latest snapshot and later events say of each switch: since which version, and whether it is on.
    switches: BTreeMap<Switch, (u64, bool)>,
}

/// What is known, as it stays for as long as this is held.
#[derive(Debug)]
pub struct View<'a> {
    known: RwLockReadGuard<'a, Known>,
    standing: Standing,
}

impl View<'_> {
    /// What holds a piece of work; nothing where it may go on.
    pub fn holds<'w>(&self, work: impl Into<Work<'w>>) -> Vec<Hold> {
        let held_tiers = self.standing.held_tiers();
        if self.known.switches.is_empty() && held_tiers.is_empty() {
            return Vec::new();
        }
        let work = work.into();
        let switches = self.known.on().filter(|switch| switch.covers(&work)).cloned().map(Hold::KillSwitch);
        switches.chain(held_tiers.contains(&work.tier).then_some(Hold::Policy)).collect()
    }
}

impl Known {
    fn on(&self) -> impl Iterator<Item = &Switch> {
        self.switches.iter().filter(|(_, (_, is_on))| *is_on).map(|(switch, _)| switch)
    }

    fn age(&self) -> Duration {
        self.confirmed.unwrap_or(self.since).elapsed()
    }
}

impl Guard {
    pub fn new(patience: Option<Patience>) -> Self {
        let known = Known { since: Instant::now(), version: 0, confirmed: None, switches: BTreeMap::new() };
        Self { patience, known: RwLock::new(known), changed: Notify::new() }
    }

    /// Nothing changes while the view is held: whoever acts under it has acted before the next change.
    pub fn view(&self) -> View<'_> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        View { standing: self.standing_of(&known), known }
    }

    fn standing_of(&self, known: &Known) -> Standing {
        let Some(patience) = self.patience else { return Standing::Standalone };
        let age = known.age();
        match known.confirmed {
            _ if age > patience.refuse_after => Standing::Lost,
            None => Standing::Unknown,
            Some(_) if age > patience.cache => Standing::Unknown,
            Some(_) if age > patience.away_after => Standing::Away,
            Some(_) => Standing::Known,
        }
    }

    pub fn standing(&self) -> Standing {
        self.view().standing
    }

    /// How old what is known is, and how many switches are on.
    pub fn measure(&self) -> (Duration, usize) {
        let view = self.view();
        (view.known.age(), view.known.on().count())
    }

    /// What is to be stopped now.
    pub fn stops(&self) -> Stops {
        let view = self.view();
        Stops { switches: view.known.on().cloned().collect(), tiers: view.standing.held_tiers().to_vec() }
    }

    /// Refuses new work where policy has been away for too long.
    pub fn admit(&self) -> Result<(), Fault> {
        if self.standing() != Standing::Lost {
            return Ok(());
        }
        Err(Fault::new(Reason::Policy503EngineUnavailable, "policy has been away for too long")
            .retry_after(Duration::from_secs(5)))
    }

    /// A switch was changed. False where that is known already, or has been overtaken.
    pub fn hear(&self, switch: Switch, version: u64, is_on: bool) -> bool {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let newest = known.switches.get(&switch).map_or(known.version, |(version, _)| *version);
        if version <= newest.max(known.version) {
            return false;
        }
        known.switches.insert(switch, (version, is_on));
        drop(known);
        self.changed.notify_one();
        true
    }

    /// All switches that were on at some moment after `asked_at`. False for a snapshot that is behind the one before: whoever
    /// answered it is behind too.
    pub fn learn(&self, asked_at: Instant, version: u64, on: Vec<(Switch, u64)>) -> bool {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if version < known.version {
            return false;
        }
        let before: Vec<Switch> = known.on().cloned().collect();
        // What was heard meanwhile and the snapshot does not contain yet.
        let later = std::mem::take(&mut known.switches).into_iter().filter(|(_, (heard, _))| *heard > version);
        let mut switches: BTreeMap<_, _> = on.into_iter().map(|(switch, since)| (switch, (since, true))).collect();
        switches.extend(later);
        known.switches = switches;
        known.version = version;
        let is_first = known.confirmed.replace(asked_at).is_none();
        let is_news = is_first || !known.on().eq(&before);
        drop(known);
        if is_news {
            self.changed.notify_one();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::hold::Scope;

    const PATIENCE: Patience = Patience {
        away_after: Duration::from_secs(30),
        cache: Duration::from_secs(60),
        refuse_after: Duration::from_secs(300),
    };

    fn switch(project: &str) -> Switch {
        Switch::new(Scope::Project, "acme", project).expect("a switch")
    }

    fn on(guard: &Guard) -> Vec<Switch> {
        guard.stops().switches
    }

    fn ago(seconds: u64) -> Instant {
        Instant::now().checked_sub(Duration::from_secs(seconds)).expect("the machine has been up for minutes")
    }

    #[test]
    fn the_age_of_a_snapshot_decides_by_tier() {
        let guard = Guard::new(Some(PATIENCE));
        assert_eq!(guard.standing(), Standing::Unknown);
        for (age, standing, held) in [
            (0, Standing::Known, &[][..]),
            (31, Standing::Away, &[Tier::B, Tier::C]),
            (61, Standing::Unknown, &[Tier::A, Tier::B, Tier::C]),
            (301, Standing::Lost, &[Tier::A, Tier::B, Tier::C]),
        ] {
            assert!(guard.learn(ago(age), 1, Vec::new()));
            assert_eq!((guard.standing(), guard.stops().tiers.as_slice()), (standing, held), "{age} s");
            assert_eq!(guard.admit().is_err(), standing == Standing::Lost, "{age} s");
        }
        assert_eq!(Guard::new(None).standing(), Standing::Standalone);
    }

    #[test]
    fn snapshots_and_events_may_overtake_each_other() {
        let guard = Guard::new(Some(PATIENCE));
        assert!(guard.learn(Instant::now(), 10, vec![(switch("a"), 7)]));
        // Contained in the snapshot.
        assert!(!guard.hear(switch("b"), 9, true));
        assert!(guard.hear(switch("b"), 12, true));
        // Of another switch, and later on its way.
        assert!(guard.hear(switch("c"), 11, true));
        assert!(guard.hear(switch("a"), 13, false));
        assert_eq!(on(&guard), [switch("b"), switch("c")]);
        // Taken before the last two.
        assert!(guard.learn(Instant::now(), 11, vec![(switch("a"), 7), (switch("c"), 11)]));
        assert_eq!(on(&guard), [switch("b"), switch("c")]);
        // What an event never brought.
        assert!(guard.learn(Instant::now(), 14, vec![(switch("d"), 14)]));
        assert_eq!(on(&guard), [switch("d")]);
        assert!(!guard.learn(Instant::now(), 13, vec![(switch("c"), 11)]));
        assert_eq!(on(&guard), [switch("d")]);
        // The same event again, and an older one of the same switch.
        assert!(guard.hear(switch("d"), 16, false));
        assert!(!guard.hear(switch("d"), 16, false));
        assert!(!guard.hear(switch("d"), 15, true));
        assert_eq!(on(&guard), []);
    }
}
