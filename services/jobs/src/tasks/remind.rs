//! Reminds people of jobs that wait for a decision.

use holdfast_fault::Fault;
use holdfast_runtime::tasks::Report;
use uuid::Uuid;

use super::rounds;
use crate::app::Core;
use crate::store::StoreError;
use crate::store::waits::{ReminderEvent, reminders_insert, reminders_take};

const JOBS_MAX: i64 = 500;

pub(super) async fn run_once(core: &Core) -> Result<Report, Fault> {
    rounds(JOBS_MAX, || core.task_db.bounded(round(core))).await
}

async fn round(core: &Core) -> Result<u64, StoreError> {
    let mut tx = core.task_db.begin().await?;
    let taken = reminders_take(&mut tx, core.limits.approvals.reminder_every, JOBS_MAX).await?;
    let reminders: Vec<_> = taken
        .into_iter()
        .map(|reminder| {
            let event_id = Uuid::now_v7();
            // Not the job's own key, whose numbers are those of its transitions.
            let ordering_key = format!("reminder:{}", reminder.job_id);
            let payload = (core.encode_reminder)(&reminder, event_id, &ordering_key);
            let key_seq = i64::from(reminder.number);
            (reminder, ReminderEvent { event_id, ordering_key, key_seq, payload })
        })
        .collect();
    if reminders.is_empty() {
        tx.rollback().await?;
        return Ok(0);
    }
    reminders_insert(&mut tx, &reminders).await?;
    tx.commit().await?;
    core.hints.outbox();
    Ok(reminders.len() as u64)
}
