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
use crate::store::board::{Look, Seen, SeenRow, Wanted, Write, board_lock};
use crate::store::{EncodeEvent, StoreError};

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
        let look = Look { scope: &scope, wanted, judges: self.judges() };
        let (order, asked) = (self.core.order(), Instant::now());
        let decided = match way {
            Way::Remembered => match self.remembered(&order, &look, commands, asked).await? {
                Some(decided) => decided,
                None => self.looked(&order, &look, commands, asked).await?,
            },
            Way::Looked => self.looked(&order, &look, commands, asked).await?,
            Way::Locked => self.locked(&order, &look, commands, asked).await?,
        };
        self.memory.remember(&decided.board, wanted);
        Ok(decided.done())
    }

    /// One trip. None where it takes a look.
    async fn remembered<'a>(
        &self,
        order: &'a Order,
        look: &Look<'_>,
        commands: &[Command],
        asked: Instant,
    ) -> Result<Option<Decided<'a>>, StoreError> {
        let Some(seen) = self.memory.recall(commands) else { return Ok(None) };
        let mut decided = self.decide(order, seen, commands, asked);
        let Some(write) = decided.write(look, self.core.encode) else { return Ok(None) };
        if !decided.outcomes.iter().all(is_proven) {
            return Ok(None);
        }
        let written_at = self.core.app_db.write(&write).await?;
        decided.written_at = Some(written_at.ok_or(StoreError::Raced)?);
        Ok(Some(decided))
    }

    /// Two trips.
    async fn looked<'a>(
        &self,
        order: &'a Order,
        look: &Look<'_>,
        commands: &[Command],
        asked: Instant,
    ) -> Result<Decided<'a>, StoreError> {
        let (rows, looked) = self.core.app_db.look(look).await?;
        let mut decided = self.decide(order, self.read(look, rows)?, commands, asked);
        let Some(write) = decided.write(look, self.core.encode) else {
            looked.give_back();
            return Ok(decided);
        };
        let written_at = looked.write(&write).await?;
        decided.written_at = Some(written_at.ok_or(StoreError::Raced)?);
        Ok(decided)
    }

    /// Five trips, and others wait.
    async fn locked<'a>(
        &self,
        order: &'a Order,
        look: &Look<'_>,
        commands: &[Command],
        asked: Instant,
    ) -> Result<Decided<'a>, StoreError> {
        let mut tx = self.core.app_db.begin(look.scope, None).await?;
        board_lock(&mut tx, look.wanted).await?;
        let rows = look.run(&mut tx).await?;
        let mut decided = self.decide(order, self.read(look, rows)?, commands, asked);
        if let Some(write) = decided.write(look, self.core.encode) {
            // Not written where a command names a lease that came to be after its heads were looked up: they are not all locked.
            let written_at = write.run(&mut tx).await?;
            decided.written_at = Some(written_at.ok_or(StoreError::Raced)?);
        }
        tx.commit().await?;
        Ok(decided)
    }

    fn read(&self, look: &Look<'_>, rows: Vec<SeenRow>) -> Result<Seen, StoreError> {
        let seen = Seen::read(look.wanted, rows)?;
        self.memory.clock_read(seen.now);
        Ok(seen)
    }

    fn judges(&self) -> bool {
        self.core.signs.may_judge(self.core.limits.instance_ttl)
    }

    /// Carries out the commands, and hands what they freed over to those who wait for it through this instance: whether their callers are still there
    /// is known only here.
    fn decide<'a>(&self, order: &'a Order, seen: Seen, commands: &[Command], asked: Instant) -> Decided<'a> {
        let Seen { now, heads, leases } = seen;
        let known = leases.keys().copied().collect();
        let mut board = Board::new(order, now, heads, leases);
        let outcomes = commands.iter().map(|command| board.run(command)).collect();
        let mut handed_over = Vec::new();
        for name in board.changes().freed.clone() {
            let next = board.next(&name).filter(|lease| self.core.waiters.stands(lease.facts.lease_id, lease.call_id));
            let Some(claim) = next.map(Command::claim) else { continue };
            if let Outcome::Granted { lease, now, .. } = board.run(&claim) {
                handed_over.push(HandedOver { lease: *lease, now, asked });
            }
        }
        Decided { now, known, board, outcomes, handed_over, written_at: None }
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
    /// None where nothing changes.
    fn write<'b>(&'b self, look: &Look<'b>, encode: EncodeEvent) -> Option<Write<'b>> {
        let Self { now, known, board, .. } = self;
        let write = Write { scope: look.scope, wanted: look.wanted, now: *now, known, board, encode };
        (!board.changes().is_empty()).then_some(write)
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
