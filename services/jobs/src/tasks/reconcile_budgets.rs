//! Compares the counters in Redis with what PostgreSQL counts, says by how much they differ, and sets them right.
//!
//! A counter is raised after the commit that counted. So it is read before the count: what PostgreSQL says then is at least as
//! high, unless the counter is wrong. One that is lower was lost, or is about to be raised by whoever has just counted.

use futures::future::join_all;
use holdfast_fault::Fault;
use holdfast_runtime::tasks::Report;

use crate::app::Core;
use crate::domain::budget::{Count, Spent};
use crate::metrics;
use crate::store::StoreError;
use crate::store::usage::{budgets_look, budgets_mark, budgets_running};

const PAGE: i64 = 1000;

#[derive(Default)]
struct Drift {
    low: u64,
    high: u64,
    by: Spent,
}

pub(super) async fn run_once(core: &Core) -> Result<Report, Fault> {
    // All of them first, and without Redis: a budget that was lowered holds whether there is one or not.
    mark(core).await?;
    let (mut report, mut drift, mut after) = (Report::default(), Drift::default(), None);
    loop {
        let page: Vec<Count> = core.task_db.bounded(page(core, after.as_ref())).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        report.did(page.len() as u64);
        compare(core, &page, &mut drift).await?;
        if page.len() < PAGE as usize {
            break;
        }
    }
    metrics::budget_drift(drift.low, drift.high, drift.by);
    let listed = core.counters.exceeded_fields().await?;
    let mut exceeded = core.task_db.bounded(core.exceeded_in_postgres()).await?;
    exceeded.retain(|count| core.exceeded(count).is_some());
    metrics::budgets_exceeded(exceeded.len());
    core.counters.list_anew(listed, &exceeded).await?;
    Ok(report)
}

/// Counts of periods that are not over.
async fn page(core: &Core, after: Option<&Count>) -> Result<Vec<Count>, StoreError> {
    let mut tx = core.task_db.begin().await?;
    let counts = budgets_running(&mut tx, after, PAGE).await?;
    tx.rollback().await?;
    Ok(counts.into_iter().map(|(count, _)| count).collect())
}

/// Marks the counts that are over a limit which was lowered since.
async fn mark(core: &Core) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let (last, is_full) = core.task_db.bounded(mark_page(core, after.as_ref())).await?;
        after = last;
        if !is_full {
            return Ok(());
        }
    }
}

/// The last of the page, and whether there may be more.
async fn mark_page(core: &Core, after: Option<&Count>) -> Result<(Option<Count>, bool), StoreError> {
    let mut tx = core.task_db.begin().await?;
    let counts = budgets_running(&mut tx, after, PAGE).await?;
    let unmarked: Vec<Count> = counts
        .iter()
        .filter(|(count, is_marked)| !is_marked && core.exceeded(count).is_some())
        .map(|(count, _)| count.clone())
        .collect();
    if !unmarked.is_empty() {
        budgets_mark(&mut tx, &unmarked).await?;
    }
    tx.commit().await?;
    Ok((counts.last().map(|(count, _)| count.clone()), counts.len() as i64 == PAGE))
}

async fn compare(core: &Core, page: &[Count], drift: &mut Drift) -> Result<(), Fault> {
    let seen = join_all(page.iter().map(|count| core.counters.read(&count.key, count.period))).await;
    let seen: Vec<Option<Spent>> = seen.into_iter().collect::<Result<_, _>>()?;
    let now = core.task_db.bounded(counted(core, page)).await?;
    let (mut low, mut high) = (Vec::new(), Vec::new());
    for ((count, seen), spent) in page.iter().zip(seen).zip(now) {
        let counter = seen.unwrap_or_default();
        let count = Count { spent, ..count.clone() };
        drift.by.tokens += (counter.tokens - spent.tokens).abs();
        drift.by.cost_micro_usd += (counter.cost_micro_usd - spent.cost_micro_usd).abs();
        if counter.tokens > spent.tokens || counter.cost_micro_usd > spent.cost_micro_usd {
            high.push((count, counter));
        } else if counter != spent || seen.is_none() {
            low.push(count);
        }
    }
    drift.low += low.len() as u64;
    drift.high += high.len() as u64;
    core.counters.raise(&low).await?;
    for (count, counter) in &high {
        core.counters.lower(count, *counter).await?;
    }
    Ok(())
}

async fn counted(core: &Core, page: &[Count]) -> Result<Vec<Spent>, StoreError> {
    let mut tx = core.task_db.begin().await?;
    let spent = budgets_look(&mut tx, page).await?;
    tx.rollback().await?;
    Ok(spent)
}
