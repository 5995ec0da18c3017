//! Commands of many callers in one transaction: their resources are locked, each command is carried out in turn on what the ones before left, and all of it
//! commits at once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use holdfast_fault::Fault;
use holdfast_pg::coalescer::BatchJob;
use holdfast_pg::{TenantScope, Tx};

use super::{App, Core, blames_an_item, retrying};
use crate::domain::board::{Board, Changes};
use crate::domain::command::{Command, Outcome};
use crate::domain::resource::Name;
use crate::metrics;
use crate::store::StoreError;
use crate::store::board::{Wanted, board_load, board_lock, board_persist, heads_create};

/// How many names of heads an instance remembers to be there.
const KNOWN_HEADS_MAX: usize = 100_000;

/// The batch job behind [`App::command`].
pub struct Desk {
    core: Arc<Core>,
    /// Heads that are there: those that were committed, and are never deleted.
    known: Mutex<HashSet<Name>>,
}

impl App {
    /// Carries out a command, in one transaction with those that arrive meanwhile.
    pub(crate) async fn command(&self, command: Command) -> Result<Outcome, Fault> {
        Ok(self.desk.submit(command).await?)
    }
}

impl Desk {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core, known: Mutex::default() }
    }

    async fn run_once(&self, commands: &[Command]) -> Result<(Vec<Outcome>, Changes), StoreError> {
        let wanted = Wanted::of(commands);
        let tenants = commands.iter().map(Command::tenant_id);
        let mut tx = self.core.app_db.begin(&TenantScope::new(tenants)?, None).await?;
        let new = self.unknown(&wanted);
        if !new.is_empty() {
            heads_create(&mut tx, &new.iter().collect::<Vec<_>>()).await?;
        }
        let decided = self.decide(tx, &wanted, commands).await;
        match &decided {
            Ok(_) => self.remember(new),
            // A head that was there may not be any more: the database is another one.
            Err(_) => self.forget(&wanted),
        }
        decided
    }

    async fn decide(
        &self,
        mut tx: Tx,
        wanted: &Wanted,
        commands: &[Command],
    ) -> Result<(Vec<Outcome>, Changes), StoreError> {
        let Some(mut locked) = board_lock(&mut tx, wanted).await? else {
            tx.rollback().await?;
            return Ok((commands.iter().map(nothing_there).collect(), Changes::default()));
        };
        let judges = self.core.signs.may_judge(self.core.limits.instance_ttl);
        let leases = board_load(&mut tx, wanted, &mut locked, judges).await?;
        let order = self.core.order();
        let mut board = Board::new(&order, locked.now, locked.heads, leases);
        if wanted.leases.iter().any(|(lease_id, tenant_id)| !board.has_heads_of(tenant_id, *lease_id)) {
            return Err(StoreError::Raced);
        }
        let outcomes = commands.iter().map(|command| board.run(command)).collect();
        if !board.changes().is_empty() {
            board_persist(&mut tx, &board, self.core.encode).await?;
        }
        // New heads are worth keeping by themselves.
        tx.commit().await?;
        Ok((outcomes, board.into_changes()))
    }

    fn unknown(&self, wanted: &Wanted) -> Vec<Name> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.names.iter().filter(|name| !known.contains(*name)).cloned().collect()
    }

    fn remember(&self, names: Vec<Name>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() + names.len() > KNOWN_HEADS_MAX {
            known.clear();
        }
        known.extend(names);
    }

    fn forget(&self, wanted: &Wanted) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for name in &wanted.names {
            known.remove(name);
        }
    }
}

/// Of a command on a lease that has no resources any more.
fn nothing_there(command: &Command) -> Outcome {
    match command {
        Command::Expire { .. } | Command::Abandon { .. } | Command::Reject { .. } => Outcome::Nothing,
        _ => Outcome::Gone,
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
        let transaction = retrying(&self.core.app_db, || self.run_once(commands));
        let (outcomes, changes) = metrics::batch("board", transaction).await?;
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
            // No receiver is no failure: nobody holds a session here.
            let _ = self.revoked.send(*lease_id);
            self.hints.revoked(*lease_id);
        }
        for entry in &changes.entries {
            self.hints.changed(&entry.name);
        }
        self.mirror.ended(&changes.entries);
    }
}
