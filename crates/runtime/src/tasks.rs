//! Background loops: one run after another, under leadership where instances share the work.
//!
//! A run does a bounded amount, may be repeated and may be cut off; what it promises is in its transactions. A run that
//! fails or panics is logged and counted, and the next one comes at its time. Where a task has a lease, it runs only
//! while this instance holds it, and a run that outlives its lease is cut off.

use std::{panic::AssertUnwindSafe, pin::pin, time::Duration};

use futures::FutureExt as _;
use holdfast_fault::Fault;
use holdfast_pg::leadership::TaskLease;
use tokio::{task::JoinSet, time::Instant};

use crate::shutdown::Shutdown;

/// The lease is renewed after this share of its time to live: two attempts may fail before it is lost.
const RENEWALS_PER_TTL: u32 = 3;
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a run came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows, messages, whatever the task works on.
    pub items: u64,
}

impl Report {
    pub fn did(&mut self, items: u64) {
        self.items += items;
    }
}

/// The tasks of a process.
pub struct TaskSet {
    shutdown: Shutdown,
    running: JoinSet<()>,
}

impl TaskSet {
    pub fn new(shutdown: &Shutdown) -> Self {
        metrics::describe_counter!("task_runs_total", "Runs of background tasks, by outcome");
        metrics::describe_counter!("task_items_total", "What background tasks worked on");
        metrics::describe_histogram!("task_duration_ms", metrics::Unit::Milliseconds, "Runs of background tasks");
        metrics::describe_gauge!("task_leader", "1 where this instance leads the task");
        Self { shutdown: shutdown.clone(), running: JoinSet::new() }
    }

    /// Starts a task; see [`run_task`].
    pub fn spawn<F, Fut>(&mut self, name: &'static str, period: Duration, lease: Option<TaskLease>, run: F)
    where
        F: FnMut() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Report, Fault>> + Send + 'static,
    {
        self.running.spawn(run_task(name, period, lease, self.shutdown.clone(), run));
    }

    /// Waits for the tasks to end after the shutdown has begun; what still runs after `timeout` is cut off.
    pub async fn finish(mut self, timeout: Duration) {
        let all = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(timeout, all).await.is_err() {
            tracing::warn!(tasks = self.running.len(), "background tasks were cut off by the end of the drain");
        }
    }
}

/// Runs `run` about every `period` until the shutdown begins: the first time at once, later times jittered by a tenth.
/// With a lease, only while this instance holds it; the lease is let go at the end.
pub async fn run_task<F, Fut>(
    name: &'static str,
    period: Duration,
    lease: Option<TaskLease>,
    shutdown: Shutdown,
    mut run: F,
) where
    F: FnMut() -> Fut + Send,
    Fut: Future<Output = Result<Report, Fault>> + Send,
{
    let mut leadership = Leadership::new(name, lease);
    let mut due = Instant::now();
    loop {
        let wake = leadership.next_look(due);
        tokio::select! { biased; () = shutdown.begun() => break, () = tokio::time::sleep_until(wake) => {} }
        if leadership.holds().await && Instant::now() >= due {
            run_once(name, &mut leadership, run()).await;
            due = Instant::now() + jittered(period);
        }
    }
    leadership.release().await;
}

async fn run_once(name: &'static str, leadership: &mut Leadership, run: impl Future<Output = Result<Report, Fault>>) {
    let started = Instant::now();
    let mut run = pin!(AssertUnwindSafe(run).catch_unwind());
    let finished = loop {
        let renewal = leadership.renewal();
        tokio::select! {
            finished = &mut run => break Some(finished),
            () = renewal => if !leadership.holds().await { break None },
        }
    };
    let duration = started.elapsed();
    let outcome = match finished {
        Some(Ok(Ok(report))) => {
            metrics::counter!("task_items_total", "task" => name).increment(report.items);
            tracing::debug!(task = name, items = report.items, duration_ms = duration.as_millis() as u64, "task ran");
            "ok"
        }
        Some(Ok(Err(fault))) => {
            let cause = fault.causes();
            tracing::warn!(task = name, error_code = fault.wire_name(), cause, "task failed: {}", fault.message);
            "failed"
        }
        Some(Err(_)) => {
            tracing::error!(task = name, "task panicked");
            "panicked"
        }
        None => {
            tracing::warn!(task = name, "task cut off: its lease went to another instance");
            "lease_lost"
        }
    };
    metrics::counter!("task_runs_total", "task" => name, "outcome" => outcome).increment(1);
    metrics::histogram!("task_duration_ms", "task" => name).record(duration.as_secs_f64() * 1e3);
}

/// What this instance knows of its hold on a task.
struct Leadership {
    name: &'static str,
    lease: Option<TaskLease>,
    /// By our clock, from before the lease was asked for: never longer than the database grants.
    held_until: Option<Instant>,
    renew_at: Instant,
}

impl Leadership {
    fn new(name: &'static str, lease: Option<TaskLease>) -> Self {
        Self { name, lease, held_until: None, renew_at: Instant::now() }
    }

    fn is_held(&self) -> bool {
        self.lease.is_none() || self.held_until.is_some_and(|until| Instant::now() < until)
    }

    /// When to look again, for a task due at `due`.
    fn next_look(&self, due: Instant) -> Instant {
        match (&self.lease, self.is_held()) {
            (None, _) => due,
            (Some(_), true) => due.min(self.renew_at),
            // A follower has nothing to do but to ask for the lease.
            (Some(_), false) => self.renew_at,
        }
    }

    async fn renewal(&self) {
        match &self.lease {
            Some(_) => tokio::time::sleep_until(self.renew_at).await,
            None => std::future::pending().await,
        }
    }

    /// Whether this instance leads, after asking where that is due.
    async fn holds(&mut self) -> bool {
        let Some(lease) = &self.lease else { return true };
        let asked = Instant::now();
        if asked >= self.renew_at {
            let pause = lease.ttl() / RENEWALS_PER_TTL;
            // An answer that comes after the lease would have run out is no answer.
            match tokio::time::timeout(pause, lease.try_hold()).await {
                Ok(Ok(Some(_))) => self.held_until = Some(asked + lease.ttl()),
                Ok(Ok(None)) => self.held_until = None,
                Ok(Err(error)) => tracing::warn!(task = self.name, %error, "leadership could not be asked for"),
                Err(_) => tracing::warn!(task = self.name, "leadership could not be asked for in time"),
            }
            self.renew_at = asked + pause;
            metrics::gauge!("task_leader", "task" => self.name).set(if self.is_held() { 1.0 } else { 0.0 });
        }
        self.is_held()
    }

    async fn release(self) {
        if let (Some(lease), true) = (&self.lease, self.is_held()) {
            metrics::gauge!("task_leader", "task" => self.name).set(0.0);
            // Where this fails the lease runs out by itself.
            let _ = tokio::time::timeout(RELEASE_TIMEOUT, lease.release()).await;
        }
    }
}

fn jittered(period: Duration) -> Duration {
    period.mul_f64(rand::random_range(0.9..1.1))
}
