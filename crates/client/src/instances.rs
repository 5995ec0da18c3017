//! The endpoints of a service: which one the next attempt goes to.
//!
//! Attempts go to the endpoints in turn. One that could not be reached, broke off or said that it is stopping is passed
//! over for a while, unless there is no other. An endpoint that stops gets a new connection: behind one address there may
//! be another instance by then.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};

use crate::Error;

const PASSED_OVER_FOR: Duration = Duration::from_secs(2);

pub(crate) struct Instances {
    all: Vec<Instance>,
    turn: AtomicUsize,
}

struct Instance {
    endpoint: Endpoint,
    state: Mutex<State>,
}

struct State {
    channel: Channel,
    passed_over_until: Option<Instant>,
}

#[derive(Clone)]
pub(crate) struct Picked {
    pub(crate) channel: Channel,
    index: usize,
}

impl Instances {
    /// At least one endpoint. Nothing is connected before it is called.
    pub(crate) fn new(endpoints: Vec<Endpoint>) -> Self {
        let all = endpoints.into_iter().map(|endpoint| {
            let channel = endpoint.connect_lazy();
            Instance { endpoint, state: Mutex::new(State { channel, passed_over_until: None }) }
        });
        Self { all: all.collect(), turn: AtomicUsize::new(0) }
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn pick(&self) -> Picked {
        let (turn, now) = (self.turn.fetch_add(1, Ordering::Relaxed), Instant::now());
        let in_turn = || (0..self.all.len()).map(|step| turn.wrapping_add(step) % self.all.len());
        let is_open = |index: &usize| self.all[*index].state().passed_over_until.is_none_or(|until| until <= now);
        let index = in_turn().find(is_open).or_else(|| in_turn().next()).unwrap_or_default();
        Picked { channel: self.all[index].state().channel.clone(), index }
    }

    /// This one did not serve; others go first for a while.
    pub(crate) fn pass_over(&self, picked: &Picked) {
        self.all[picked.index].state().passed_over_until = Some(Instant::now() + PASSED_OVER_FOR);
    }

    /// This one is stopping: whatever is behind its address next is reached by a new connection.
    pub(crate) fn reconnect(&self, picked: &Picked) {
        let instance = &self.all[picked.index];
        instance.state().channel = instance.endpoint.connect_lazy();
    }

    /// Connects to the first that answers.
    pub(crate) async fn connect(&self) -> Result<(), Error> {
        let mut last = None;
        for instance in &self.all {
            match instance.endpoint.connect().await {
                Ok(channel) => {
                    instance.state().channel = channel;
                    return Ok(());
                }
                Err(error) => last = Some(Error::unreachable(&instance.endpoint.uri().to_string(), error)),
            }
        }
        last.map_or(Ok(()), Err)
    }
}

impl Instance {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instances(count: u16) -> Instances {
        let endpoint = |port| Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
        Instances::new((1..=count).map(endpoint).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_take_turns_and_pass_over_whoever_failed() {
        let instances = instances(3);
        let picked: Vec<usize> = (0..6).map(|_| instances.pick().index).collect();
        assert_eq!(picked, [0, 1, 2, 0, 1, 2]);
        instances.pass_over(&instances.pick());
        assert!((0..6).all(|_| instances.pick().index != 0));
        tokio::time::advance(PASSED_OVER_FOR).await;
        assert!((0..3).any(|_| instances.pick().index == 0));
    }

    #[tokio::test]
    async fn the_only_one_is_never_passed_over() {
        let instances = instances(1);
        instances.pass_over(&instances.pick());
        assert_eq!(instances.pick().index, 0);
    }
}
