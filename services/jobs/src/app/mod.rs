//! Use cases: authorise, load, decide, persist. No SQL, no wire types, no status codes.

pub mod admit;
pub mod answer;
pub mod authorise;
pub mod budgets;
pub mod cancel;
pub mod decide;
pub mod dependencies;
mod depth;
pub mod dispatch;
mod folded;
pub mod guard;
pub mod holds;
pub mod in_force;
pub mod keys;
mod labels;
pub mod lease;
pub mod limits;
mod overspent;
pub mod projects;
pub mod read;
pub mod repeated;
pub mod resubmit;
mod seats;
pub mod settle;
pub mod submit;
pub mod throttle;
mod turns;
pub mod usage;
pub mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Instant;

use holdfast_caller::Caller;
use holdfast_ids::{Intent, JobId, LeaseId, ProjectId, TenantId};
use holdfast_pg::coalescer::{Coalescer, Limits as Batching};
use holdfast_pg::{AppDb, DbError, ReadDb, TaskDb};
use tokio::sync::{Notify, broadcast};

use crate::counters::Counters;
use crate::domain::job::Facts;
/// What the contracts convert to and from, beside each use case's own types.
pub use crate::domain::{job::Time, transition::Refusal};
use crate::hints::Hints;
use crate::metrics;
use crate::store::{EncodeChange, EncodeEvent, EncodeMarkPassed, EncodeOverdue, EncodeReminder, StoreError};
pub use crate::store::{claim::Wanted, read::Listing};
use guard::Guard;
use in_force::InForce;
use limits::{IntentTerms, Limits};

/// Who asks, and under which request.
#[derive(Debug, Clone)]
pub struct Asking {
    pub caller: Arc<Caller>,
    pub request_id: String,
    /// The W3C trace context: the traceparent and, behind a space, the tracestate where there is one. Kept in this form in
    /// rows; taken apart on the way out.
    pub traceparent: String,
    pub deadline: Option<Instant>,
}

impl Asking {
    /// The caller's tenants as a batch item carries them.
    pub fn tenants(&self) -> String {
        self.caller.tenants.iter().map(|tenant| tenant.as_str()).collect::<Vec<_>>().join(",")
    }
}

/// A lease that ended without its holder's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    pub job_id: JobId,
    pub lease_id: LeaseId,
}

/// How many events wait for a relay, as last counted.
#[derive(Debug, Default)]
pub struct OutboxGauge {
    pending: AtomicI64,
    /// Whether a count was ever taken; before that nothing is refused.
    known: AtomicBool,
}

impl OutboxGauge {
    pub fn set(&self, pending: i64) {
        self.pending.store(pending, Ordering::Relaxed);
        self.known.store(true, Ordering::Relaxed);
    }

    pub fn pending(&self) -> Option<i64> {
        self.known.load(Ordering::Relaxed).then(|| self.pending.load(Ordering::Relaxed))
    }
}

/// What every use case works with.
#[derive(Debug)]
pub struct Core {
    pub app_db: AppDb,
    pub task_db: TaskDb,
    pub read_db: ReadDb,
    pub limits: Limits,
    pub encode: EncodeEvent,
    pub encode_reminder: EncodeReminder,
    pub encode_overdue: EncodeOverdue,
    pub encode_mark_passed: EncodeMarkPassed,
    pub encode_change: EncodeChange,
    pub hints: Hints,
    pub counters: Counters,
    /// Which budgets are exceeded.
    pub budgets: budgets::Board,
    /// Of callers, while Redis is away.
    pub rates: throttle::OwnRates,
    pub outbox: OutboxGauge,
    /// Settings of projects.
    pub in_force: InForce,
    pub guard: Guard,
    /// Leases that ended under their holders, for the sessions of this instance.
    pub revoked: broadcast::Sender<Revoked>,
    /// This instance ended what others wait for.
    pub settle: Notify,
}

impl Core {
    /// Says that a lease has ended, here and to the other instances.
    pub fn revoke(&self, job_id: JobId, lease_id: LeaseId) {
        // No receiver is no failure: nobody holds a session here.
        let _ = self.revoked.send(Revoked { job_id, lease_id });
        self.hints.revoked(job_id, lease_id);
    }

    /// The terms of an intent in a project: what its settings say, and configuration where they say nothing.
    pub fn terms(&self, tenant_id: &TenantId, project_id: &ProjectId, intent: &Intent) -> IntentTerms {
        let terms = *self.limits.intents.terms(intent);
        let project = self.in_force.of(tenant_id.as_str(), project_id.as_str());
        match project.as_ref().and_then(|project| project.settings.intents.get(intent)) {
            Some(policy) => terms.under(policy),
            None => terms,
        }
    }

    pub fn terms_of(&self, facts: &Facts) -> IntentTerms {
        self.terms(&facts.tenant_id, &facts.project_id, &facts.intent)
    }

    /// Says that there are jobs to lease, or room for them.
    pub fn wake_dispatch(&self) {
        self.hints.ready();
    }
}

/// The service: its use cases over one core.
#[derive(Clone)]
pub struct App {
    pub core: Arc<Core>,
    pub(crate) submissions: Arc<Coalescer<submit::Submissions>>,
    pub(crate) repetitions: Arc<Coalescer<repeated::Repetitions>>,
    pub(crate) reads: Arc<Coalescer<read::Reads>>,
    pub answers: answer::Answering,
    pub(crate) usage: Arc<Coalescer<usage::Recordings>>,
    pub(crate) extensions: Arc<Coalescer<lease::Extensions>>,
    pub dispatcher: dispatch::Dispatcher,
    pub watches: Arc<watch::Watches>,
}

impl App {
    pub fn new(core: Arc<Core>) -> Self {
        let batches = core.limits.batches;
        let answers = answer::Answering::new(core.clone());
        let dispatcher = dispatch::Dispatcher::new(core.clone(), answers.clone());
        let submissions = submit::Submissions::new(core.clone(), dispatcher.clone());
        let repetitions = repeated::Repetitions::new(core.clone());
        // Asked where something is refused: one connection is enough.
        let one_lane = Batching { lanes: 1, ..batches.submissions };
        Self {
            submissions: Arc::new(Coalescer::new(submissions, batches.submissions)),
            repetitions: Arc::new(Coalescer::new(repetitions, one_lane)),
            reads: Arc::new(Coalescer::new(read::Reads::new(core.clone()), batches.reads)),
            usage: Arc::new(Coalescer::new(usage::Recordings::new(core.clone()), batches.usage)),
            answers,
            watches: Arc::new(watch::Watches::new(core.clone())),
            extensions: Arc::new(Coalescer::new(lease::Extensions::new(core.clone()), batches.extensions)),
            dispatcher,
            core,
        }
    }

    /// Lets what was taken on come to its end, and takes on nothing more.
    pub async fn close(&self) {
        tokio::join!(
            self.submissions.close(),
            self.repetitions.close(),
            self.reads.close(),
            self.answers.close(),
            self.usage.close(),
            self.extensions.close()
        );
    }
}

/// Runs a transaction within its time, and again where it lost against another one: nothing of it was done.
pub(crate) async fn retrying<T, F>(db: &AppDb, mut transaction: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    const TRIES: usize = 3;
    for _ in 1..TRIES {
        match db.bounded(transaction()).await {
            Err(StoreError::Db(DbError::Conflict(_)) | StoreError::Raced) => metrics::transaction_retried(),
            outcome => return outcome,
        }
    }
    db.bounded(transaction()).await
}

/// Until when a batch is worth doing: the latest of its callers' deadlines; None where one of them has none.
pub(crate) fn latest(deadlines: impl IntoIterator<Item = Option<Instant>>) -> Option<Instant> {
    deadlines.into_iter().reduce(|one, other| Some(one?.max(other?))).flatten()
}

/// Whether two traceparents, `00-<trace id>-<span id>-<flags>`, are of one trace.
pub(crate) fn is_same_trace(one: &str, other: &str) -> bool {
    one.split('-').nth(1) == other.split('-').nth(1)
}

/// Whether an error is the fault of an item of a batch, and not of the database or the batch.
pub(crate) fn blames_an_item(error: &StoreError) -> bool {
    matches!(error, StoreError::Db(error) if error.blames_a_row())
}
