//! Many calls, one commit.
//!
//! Calls that arrive while a batch is in flight wait, in order, and become the next batch together: an idle service
//! answers in the time of one commit, a busy one shares each commit among hundreds of calls, and no timer delays anyone.
//! Each caller gets its own outcome. An item that makes the batch fail is found by halving and gets the error alone; an
//! item whose caller has gone before its batch starts is left out; a caller that goes later takes nobody with it, since
//! batches run in tasks of their own.
//!
//! Nothing here is durable or retried. A failure that no item is to blame for is everybody's answer.

use std::{
    collections::VecDeque,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use futures::FutureExt as _;
use holdfast_fault::{Fault, Reason};
use tokio::sync::{oneshot, watch};

/// What a batch does.
#[async_trait]
pub trait BatchJob: Send + Sync + 'static {
    type Item: Send + Sync + 'static;
    type Output: Send + 'static;
    type Error: Clone + From<Interrupted> + Send + Sync + 'static;

    /// Runs the items in one transaction and answers an outcome for each, in their order. Nobody cancels a run, so it
    /// bounds its own time ([`crate::AppDb::bounded`]). `Err` means that nothing of it was done.
    async fn run(&self, items: &[Self::Item]) -> Result<Vec<Result<Self::Output, Self::Error>>, Self::Error>;

    /// Whether a failed run is the doing of one of its items, as a violated constraint is and a lost connection is not.
    fn blames_an_item(error: &Self::Error) -> bool;

    /// Bytes that the item adds to its batch.
    fn weight(item: &Self::Item) -> usize;
}

/// How much a batch takes, and how many run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub items_max: usize,
    /// An item heavier than this runs alone.
    pub bytes_max: usize,
    /// Batches in flight; each holds one connection.
    pub lanes: usize,
}

/// Why an item has no outcome of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Interrupted {
    /// [`Coalescer::close`] was called before it was submitted.
    #[error("the service is draining")]
    Closed,
    /// Its batch panicked or answered for fewer items than it was given. Whether it was done is not known.
    #[error("the batch ended without an outcome")]
    Lost,
}

impl From<Interrupted> for Fault {
    fn from(interrupted: Interrupted) -> Self {
        match interrupted {
            Interrupted::Closed => Fault::new(Reason::Infra503Draining, interrupted.to_string()),
            Interrupted::Lost => Fault::unexpected(interrupted),
        }
    }
}

/// Gathers calls into batches. Clones share one queue.
pub struct Coalescer<J: BatchJob> {
    shared: Arc<Shared<J>>,
}

impl<J: BatchJob> Clone for Coalescer<J> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

struct Shared<J: BatchJob> {
    job: J,
    limits: Limits,
    queue: Mutex<Queue<J>>,
    /// Lanes that are running; what [`Coalescer::close`] waits on.
    lanes: watch::Sender<usize>,
}

struct Queue<J: BatchJob> {
    waiting: VecDeque<Waiting<J>>,
    closed: bool,
}

struct Waiting<J: BatchJob> {
    item: J::Item,
    caller: Caller<J>,
}

/// Taken together, and the callers in the order of the items; a caller that has been answered is `None`.
struct Batch<J: BatchJob> {
    items: Vec<J::Item>,
    callers: Vec<Option<Caller<J>>>,
}

type Outcome<J> = Result<<J as BatchJob>::Output, <J as BatchJob>::Error>;
type Caller<J> = oneshot::Sender<Outcome<J>>;

impl<J: BatchJob> Coalescer<J> {
    /// # Panics
    /// Where a limit is zero: nothing would ever run.
    pub fn new(job: J, limits: Limits) -> Self {
        assert!(limits.items_max > 0 && limits.bytes_max > 0 && limits.lanes > 0, "a coalescer needs room: {limits:?}");
        let queue = Mutex::new(Queue { waiting: VecDeque::new(), closed: false });
        Self { shared: Arc::new(Shared { job, limits, queue, lanes: watch::Sender::new(0) }) }
    }

    /// Waits for the item's own outcome. Dropping the future withdraws the item if its batch has not started.
    pub async fn submit(&self, item: J::Item) -> Outcome<J> {
        let outcome = self.enqueue(item)?;
        outcome.await.unwrap_or(Err(Interrupted::Lost.into()))
    }

    fn enqueue(&self, item: J::Item) -> Result<oneshot::Receiver<Outcome<J>>, J::Error> {
        let (caller, outcome) = oneshot::channel();
        let mut queue = self.shared.queue();
        if queue.closed {
            return Err(Interrupted::Closed.into());
        }
        queue.waiting.push_back(Waiting { item, caller });
        if *self.shared.lanes.borrow() < self.shared.limits.lanes {
            self.shared.lanes.send_modify(|lanes| *lanes += 1);
            tokio::spawn(Arc::clone(&self.shared).run_lane());
        }
        Ok(outcome)
    }

    /// Refuses new items and waits until those accepted have their outcome.
    pub async fn close(&self) {
        self.shared.queue().closed = true;
        let mut lanes = self.shared.lanes.subscribe();
        // A lane ends only when nothing waits, and the sender lives in self: there is no error to meet.
        let _ = lanes.wait_for(|lanes| *lanes == 0).await;
    }
}

impl<J: BatchJob> Shared<J> {
    /// The lock is held for a few moves and never across an await; a panic under it leaves the queue whole.
    fn queue(&self) -> MutexGuard<'_, Queue<J>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run_lane(self: Arc<Self>) {
        while let Some(batch) = self.next_batch() {
            let items = batch.items.len();
            // A panicking job drops the callers' senders, which answers them with Lost, and the lane goes on.
            if AssertUnwindSafe(self.run_batch(batch)).catch_unwind().await.is_err() {
                tracing::error!(items, "a batch panicked");
            }
        }
    }

    /// The next batch, or `None` after giving up the lane: both under one lock, so that no item is left without a lane.
    fn next_batch(&self) -> Option<Batch<J>> {
        let mut queue = self.queue();
        let (mut items, mut callers, mut bytes) = (Vec::new(), Vec::new(), 0_usize);
        while items.len() < self.limits.items_max {
            let Some(Waiting { item, caller }) = queue.waiting.pop_front() else { break };
            if caller.is_closed() {
                continue;
            }
            let weight = J::weight(&item);
            if !items.is_empty() && bytes.saturating_add(weight) > self.limits.bytes_max {
                queue.waiting.push_front(Waiting { item, caller });
                break;
            }
            bytes = bytes.saturating_add(weight);
            items.push(item);
            callers.push(Some(caller));
        }
        if items.is_empty() {
            self.lanes.send_modify(|lanes| *lanes -= 1);
            return None;
        }
        Some(Batch { items, callers })
    }

    /// Runs the batch, and its halves where an item is to blame, in the items' order.
    async fn run_batch(&self, batch: Batch<J>) {
        let Batch { items, mut callers } = batch;
        let mut parts = vec![(0, items.len())];
        while let Some((start, end)) = parts.pop() {
            match self.job.run(&items[start..end]).await {
                Ok(outcomes) => {
                    for (caller, outcome) in callers[start..end].iter_mut().zip(outcomes) {
                        answer::<J>(caller, outcome);
                    }
                }
                Err(error) if end - start > 1 && J::blames_an_item(&error) => {
                    let middle = start.midpoint(end);
                    parts.push((middle, end));
                    parts.push((start, middle));
                }
                Err(error) => {
                    for caller in &mut callers[start..end] {
                        answer::<J>(caller, Err(error.clone()));
                    }
                }
            }
        }
    }
}

/// A caller that has gone meanwhile does not hear it; what was done stays done.
fn answer<J: BatchJob>(caller: &mut Option<Caller<J>>, outcome: Outcome<J>) {
    if let Some(caller) = caller.take() {
        let _ = caller.send(outcome);
    }
}
