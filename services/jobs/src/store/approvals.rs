//! What people decided.

use holdfast_ids::{ActorId, ApprovalId, JobId, TenantId};
use holdfast_pg::Tx;

use super::StoreError;
use super::rows::corrupt;
use crate::domain::approval::{Approval, Decision};
use crate::domain::job::Facts;
use crate::domain::transition::Command;

/// The decisions about a job, oldest first.
pub async fn approvals_list(tx: &mut Tx, job_id: JobId, tenants: &[TenantId]) -> Result<Vec<Approval>, StoreError> {
    let tenants: Vec<String> = tenants.iter().map(ToString::to_string).collect();
    let rows = sqlx::query_file!("src/store/queries/approvals_list.sql", job_id.as_uuid(), &tenants)
        .fetch_all(&mut **tx)
        .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Approval {
                approval_id: ApprovalId::from_uuid(row.approval_id),
                number: row.number,
                decision: Decision::from_name(&row.decision).ok_or_else(|| corrupt("approvals", "decision"))?,
                reason: row.reason,
                actor_id: ActorId::parse(&row.actor_id).map_err(|_| corrupt("approvals", "actor_id"))?,
                role: row.role,
                corrects: row.corrects.map(ApprovalId::from_uuid),
                command: Command {
                    key: row.command_key,
                    hash: row.command_hash.try_into().map_err(|_| corrupt("approvals", "command_hash"))?,
                    idempotency_key: None,
                },
                decided_at: row.decided_at,
                request_id: row.request_id,
                traceparent: row.traceparent,
            })
        })
        .collect()
}

/// Under the lock of its job.
pub async fn approval_insert(tx: &mut Tx, facts: &Facts, approval: &Approval) -> Result<(), StoreError> {
    sqlx::query_file!(
        "src/store/queries/approval_insert.sql",
        facts.job_id.as_uuid(),
        approval.number,
        approval.approval_id.as_uuid(),
        facts.tenant_id.as_str(),
        facts.project_id.as_str(),
        approval.decision.as_str(),
        approval.reason,
        approval.actor_id.as_str(),
        approval.role,
        approval.corrects.map(|corrects| corrects.as_uuid()) as _,
        approval.command.key,
        &approval.command.hash[..],
        approval.decided_at,
        approval.request_id,
        approval.traceparent,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
