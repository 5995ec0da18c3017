//! Commands of many callers at once: what they need is looked at, or remembered, each command is carried out in turn on what the ones before left, and
//! what it comes to is written in one transaction, where nothing has moved meanwhile. No transaction is open, and no row is locked, while it is
//! decided. Where something has moved, it is all done again on a look, and at last under lock.

use std::sync::Arc;
use std::time::Instant;

use holdfast_fault::Fault;
use holdfast_ids::LeaseId;
use holdfast_pg::coalescer::BatchJob;
use holdfast_pg::{DbError, Statement as _, TenantScope};

use super::memory::{Memory, is_proven};
use super::waiting::HandedOver;
use super::{App, Core, TRIES, blames_an_item};
use crate::domain::Time;
use crate::domain::board::{Board, Changes};
use crate::domain::command::{Command, Outcome};
use crate::domain::order::Order;
use crate::metrics;
use crate::store::StoreError;
use crate::store::board::{Look, Seen, SeenRow, Wanted, Write, board_lock};

/// The batch job behind [`App::command`].
pub struct Desk {
    core: Arc<Core>,
    memory: Memory,
}

/// On what commands are decided. Each is surer than the one before, and takes longer.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// On what was written last, as far as that goes.
    Remembered,
    Looked,
    Locked,
}

/// What commands came to.
struct Done {
    outcomes: Vec<Outcome>,
    changes: Changes,
    handed_over: Vec<HandedOver>,
}

impl Way {
    fn surer(self) -> Self {
        match self {
            Self::Remembered => Self::Looked,
            Self::Looked | Self::Locked => Self::Locked,
        }
    }
}

impl App {
    /// Carries out a command, in one transaction with those that arrive meanwhile.
    pub(crate) async fn command(&self, command: Command) -> Result<Outcome, Fault> {
        Ok(self.desk.submit(command).await?)
    }
}

impl Desk {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core, memory: Memory::default() }
    }

    /// Again where something moved meanwhile. And once more where nobody knows whether it was written: nothing can be written twice, since a write moves what it
    /// was decided on, and every command finds what it has come to before.
    async fn run_until_done(&self, commands: &[Command], wanted: &Wanted) -> Result<Done, StoreError> {
        let mut way = if wanted.under_lock { Way::Locked } else { Way::Remembered };
        let (mut tries, mut unknown) = (0, false);
        loop {
            tries += 1;
            let error = match self.core.app_db.bounded(self.run_once(commands, wanted, way)).await {
                Ok(done) => {
                    if unknown {
                        self.tell_again(commands);
                    }
                    return Ok(done);
                }
                Err(error) => error,
            };
            self.memory.forget(wanted);
            match error {
                StoreError::Db(DbError::Conflict(_) | DbError::LockTimeout(_)) | StoreError::Raced if tries < TRIES => {
                    way = way.surer();
                }
                StoreError::Db(DbError::AmbiguousCommit(_)) if !unknown => unknown = true,
                error => {
                    // It may have freed something all the same.
                    self.core.waiters.wake_all();
                    return Err(error);
                }
            }
            metrics::transaction_retried();
        }
    }

    /// What the write may have come to of which nobody heard: somebody was handed over what it freed, or has lost a lease. They look.
    fn tell_again(&self, commands: &[Command]) {
        self.core.waiters.wake_all();
        for lease_id in commands.iter().filter_map(Command::lease_id) {
            self.core.tell_revoked(lease_id);
        }
    }

    async fn run_once(&self, commands: &[Command], wanted: &Wanted, way: Way) -> Result<Done, StoreError> {
        let scope = TenantScope::new(commands.iter().map(Command::tenant_id))?;
        let judges = self.core.signs.may_judge(self.core.limits.instance_ttl);
        let (order, asked) = (self.core.order(), Instant::now());
        let look = Look { scope: &scope, wanted, judges };
        let attempt = Attempt { desk: self, order: &order, look, commands, asked };
        let decided = match way {
            Way::Remembered => match attempt.remembered().await? {
                Some(decided) => decided,
                None => attempt.looked().await?,
            },
            Way::Looked => attempt.looked().await?,
            Way::Locked => attempt.locked().await?,
        };
        self.memory.remember(&decided.board, wanted);
        Ok(decided.done())
    }
}

/// One attempt at a batch of commands.
struct Attempt<'a> {
    desk: &'a Desk,
    order: &'a Order,
    look: Look<'a>,
    commands: &'a [Command],
    asked: Instant,
}

impl<'a> Attempt<'a> {
    /// One trip. None where it takes a look.
    async fn remembered(&self) -> Result<Option<Decided<'a>>, StoreError> {
        let Some(seen) = self.desk.memory.recall(self.commands) else { return Ok(None) };
        let decided = self.decide(seen);
        let Some(write) = self.write(&decided) else { return Ok(None) };
        if !decided.outcomes.iter().all(is_proven) {
            return Ok(None);
        }
        let written_at = self.desk.core.app_db.write(&write).await?;
        decided.written(written_at).map(Some)
    }

    /// Two trips.
    async fn looked(&self) -> Result<Decided<'a>, StoreError> {
        let (rows, looked) = self.desk.core.app_db.look(&self.look).await?;
        let decided = self.decide(self.read(rows)?);
        let Some(write) = self.write(&decided) else {
            looked.give_back();
            return Ok(decided);
        };
        let written_at = looked.write(&write).await?;
        decided.written(written_at)
    }

    /// Five trips, and others wait.
    async fn locked(&self) -> Result<Decided<'a>, StoreError> {
        let mut tx = self.desk.core.app_db.begin(self.look.scope, None).await?;
        board_lock(&mut tx, self.look.wanted).await?;
        let rows = self.look.run(&mut tx).await?;
        let mut decided = self.decide(self.read(rows)?);
        if let Some(write) = self.write(&decided) {
            // Not written where a command names a lease that came to be after its heads were looked up: they are not all locked.
            let written_at = write.run(&mut tx).await?;
            decided = decided.written(written_at)?;
        }
        tx.commit().await?;
        Ok(decided)
    }

    fn read(&self, rows: Vec<SeenRow>) -> Result<Seen, StoreError> {
        let seen = Seen::read(self.look.wanted, rows)?;
        self.desk.memory.clock_read(seen.now);
        Ok(seen)
    }

    /// Carries out the commands, and hands what they freed over to those who wait for it through this instance: whether their callers are still there
    /// is known only here.
    fn decide(&self, seen: Seen) -> Decided<'a> {
        let Seen { now, heads, leases } = seen;
        let known = leases.keys().copied().collect();
        let mut board = Board::new(self.order, now, heads, leases);
        let outcomes = self.commands.iter().map(|command| board.run(command)).collect();
        let waiters = &self.desk.core.waiters;
        let mut handed_over = Vec::new();
        for name in board.changes().freed.clone() {
            let next = board.next(&name).filter(|lease| waiters.stands(lease.facts.lease_id, lease.call_id));
            let Some(claim) = next.map(Command::claim) else { continue };
            if let Outcome::Granted { lease, now, .. } = board.run(&claim) {
                handed_over.push(HandedOver { lease: *lease, now, asked: self.asked });
            }
        }
        Decided { now, known, board, outcomes, handed_over, written_at: None }
    }

    /// None where nothing changes.
    fn write<'b>(&'b self, decided: &'b Decided<'_>) -> Option<Write<'b>> {
        let Decided { now, known, board, .. } = decided;
        let (scope, wanted) = (self.look.scope, self.look.wanted);
        let write = Write { scope, wanted, now: *now, known, board, encode: self.desk.core.encode };
        (!board.changes().is_empty()).then_some(write)
    }
}

/// What is to be done once it is written.
struct Decided<'a> {
    now: Time,
    /// The leases that were seen.
    known: Vec<LeaseId>,
    board: Board<'a>,
    outcomes: Vec<Outcome>,
    handed_over: Vec<HandedOver>,
    written_at: Option<Time>,
}

impl Decided<'_> {
    /// Nothing was written where something has moved.
    fn written(self, at: Option<Time>) -> Result<Self, StoreError> {
        let at = at.ok_or(StoreError::Raced)?;
        Ok(Self { written_at: Some(at), ..self })
    }

    /// How long a lease holds is counted from the write on, not from when it was decided.
    fn done(mut self) -> Done {
        if let Some(written_at) = self.written_at {
            for outcome in &mut self.outcomes {
                if let Outcome::Granted { now, .. } = outcome {
                    *now = written_at;
                }
            }
            self.handed_over.iter_mut().for_each(|grant| grant.now = written_at);
        }
        Done { outcomes: self.outcomes, changes: self.board.into_changes(), handed_over: self.handed_over }
    }
}

#[async_trait::async_trait]
impl BatchJob for Desk {
    type Item = Command;
    type Output = Outcome;
    type Error = StoreError;

    fn weight(_: &Command) -> usize {
        1024
    }

    fn blames_an_item(error: &StoreError) -> bool {
        blames_an_item(error)
    }

    async fn run(&self, commands: &[Command]) -> Result<Vec<Result<Outcome, StoreError>>, StoreError> {
        let wanted = Wanted::of(commands);
        let done = metrics::batch("board", self.run_until_done(commands, &wanted)).await;
        let Done { outcomes, changes, handed_over } = done?;
        for grant in handed_over {
            self.core.waiters.hand_over(grant);
        }
        self.core.tell(&changes);
        Ok(outcomes.into_iter().map(Ok).collect())
    }
}

impl Core {
    /// Says what has changed, here and to the other instances.
    pub(super) fn tell(&self, changes: &Changes) {
        metrics::recorded(&changes.entries);
        if !changes.entries.is_empty() {
            self.hints.outbox();
        }
        for name in &changes.freed {
            self.waiters.freed(name);
            self.hints.freed(name);
        }
        for lease_id in &changes.ended {
            self.tell_revoked(*lease_id);
        }
        for entry in &changes.entries {
            self.hints.changed(&entry.name);
        }
        self.mirror.ended(&changes.entries);
    }

    fn tell_revoked(&self, lease_id: LeaseId) {
        // No receiver is no failure: nobody holds a session here.
        let _ = self.revoked.send(lease_id);
        self.hints.revoked(lease_id);
    }
}
