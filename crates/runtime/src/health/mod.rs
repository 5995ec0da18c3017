//! What the process knows of its own health.
//!
//! Each dependency is probed in the background; asking costs nothing and waits for nothing. The process is ready once it
//! has started, while no dependency that it cannot work without is down, until it drains.

mod http;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use crate::shutdown::Shutdown;

pub use http::HttpServer;

const PROBE_PERIOD: Duration = Duration::from_secs(2);
/// Below the five seconds in which every health answer is due.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Ok,
    Degraded,
    Down,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Degraded => "degraded",
            State::Down => "down",
        }
    }
}

/// What its dependency's absence means for the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Not ready without it.
    Required,
    /// Degraded without it, and ready.
    Optional,
}

/// The process's health. Clones are the same one.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    facts: Mutex<Facts>,
    is_ready: watch::Sender<bool>,
}

#[derive(Default)]
struct Facts {
    has_started: bool,
    is_draining: bool,
    dependencies: BTreeMap<&'static str, Known>,
}

/// Of one dependency.
struct Known {
    need: Need,
    state: State,
    /// What people read.
    word: &'static str,
}

impl Facts {
    fn is_ready(&self) -> bool {
        self.has_started && !self.is_draining && self.state() != State::Down
    }

    fn state(&self) -> State {
        let worst = self.dependencies.values().map(|known| match known.need {
            Need::Required => known.state,
            Need::Optional => known.state.min(State::Degraded),
        });
        worst.max().unwrap_or(State::Ok)
    }
}

impl Health {
    /// Follows `shutdown`: not ready any more once it has begun.
    pub fn new(shutdown: &Shutdown) -> Self {
        let health = Self(Arc::new(Inner { facts: Mutex::new(Facts::default()), is_ready: watch::Sender::new(false) }));
        let (draining, begun) = (health.clone(), shutdown.clone());
        tokio::spawn(async move {
            begun.begun().await;
            draining.change(|facts| facts.is_draining = true);
        });
        health
    }

    /// Migrations are applied and caches warm.
    pub fn mark_started(&self) {
        self.change(|facts| facts.has_started = true);
    }

    /// Registers a dependency; down until it is told otherwise.
    pub fn dependency(&self, name: &'static str, need: Need) -> Dependency {
        let known = Known { need, state: State::Down, word: State::Down.as_str() };
        self.change(|facts| facts.dependencies.insert(name, known));
        metrics::describe_gauge!("dependency_up", "1 where a dependency answers, by its name");
        metrics::gauge!("dependency_up", "dependency" => name).set(0.0);
        Dependency { health: self.clone(), name }
    }

    /// Registers a dependency and asks it every two seconds how it is, until the process stops.
    pub fn probe<F, Fut, E>(&self, name: &'static str, need: Need, shutdown: &Shutdown, ask: F)
    where
        F: Fn() -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), E>> + Send,
        E: fmt::Display,
    {
        let dependency = self.dependency(name, need);
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(PROBE_PERIOD);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! { () = shutdown.begun() => return, _ = ticks.tick() => {} }
                match tokio::time::timeout(PROBE_TIMEOUT, ask()).await {
                    Ok(Ok(())) => dependency.ok(),
                    Ok(Err(error)) => dependency.set(State::Down, Some(&error)),
                    Err(_) => dependency.set(State::Down, Some(&"no answer in time")),
                }
            }
        });
    }

    pub fn is_ready(&self) -> bool {
        *self.0.is_ready.borrow()
    }

    /// Follows readiness.
    pub fn readiness(&self) -> watch::Receiver<bool> {
        self.0.is_ready.subscribe()
    }

    /// Resolves once the process is ready.
    pub async fn ready(&self) {
        // The sender lives as long as self.
        let _ = self.readiness().wait_for(|ready| *ready).await;
    }

    fn read<T>(&self, look: impl FnOnce(&Facts) -> T) -> T {
        look(&self.0.facts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Facts) -> T) -> T {
        let mut facts = self.0.facts.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut facts);
        let ready = facts.is_ready();
        // Under the lock, so that two changes cannot publish their verdicts in the wrong order.
        self.0.is_ready.send_if_modified(|is_ready| std::mem::replace(is_ready, ready) != ready);
        result
    }
}

/// How one dependency is, told by whoever uses it.
#[derive(Clone)]
pub struct Dependency {
    health: Health,
    name: &'static str,
}

impl Dependency {
    pub fn ok(&self) {
        self.set(State::Ok, None);
    }

    /// It works, less well than it should.
    pub fn degraded(&self, why: &dyn fmt::Display) {
        self.set(State::Degraded, Some(why));
    }

    pub fn down(&self, why: &dyn fmt::Display) {
        self.set(State::Down, Some(why));
    }

    fn set(&self, state: State, why: Option<&dyn fmt::Display>) {
        self.says(state, state.as_str(), why);
    }

    /// In a word of its own, where the three of [`State`] do not tell people enough.
    pub fn says(&self, state: State, word: &'static str, why: Option<&dyn fmt::Display>) {
        let before = self.health.change(|facts| {
            let known = facts.dependencies.get_mut(self.name)?;
            Some((std::mem::replace(&mut known.state, state), std::mem::replace(&mut known.word, word)))
        });
        if before == Some((state, word)) {
            return;
        }
        metrics::gauge!("dependency_up", "dependency" => self.name).set(if state == State::Down { 0.0 } else { 1.0 });
        let dependency = self.name;
        match why {
            Some(why) => tracing::warn!(dependency, state = word, cause = %why, "dependency changed"),
            None => tracing::info!(dependency, state = word, "dependency changed"),
        }
    }
}
