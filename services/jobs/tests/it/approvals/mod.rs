//! Jobs of tier C: nothing runs before a person has decided, and what was decided stays decided.

mod clocks;
mod correcting;
mod deciding;
mod racing;
mod resubmitting;

use holdfast_caller::Role;
use holdfast_caller::issuer::TokenSpec;
use holdfast_ids::TenantId;
use pb::Decision;

use crate::support::*;

fn dangerous() -> pb::SubmitJobRequest {
    job().tier(pb::RiskTier::C)
}

fn as_role(world: &World, name: &str, tenant: &TenantId, role: Role) -> Api {
    world.caller(TokenSpec::user(actor(name), tenant.clone(), role))
}

fn owner(world: &World, tenant: &TenantId) -> Api {
    as_role(world, "olga", tenant, Role::Owner)
}

fn decide(job_id: &str, decision: Decision) -> pb::DecideJobRequest {
    pb::DecideJobRequest {
        job_id: job_id.to_owned(),
        decision: decision.into(),
        reason: "as discussed".to_owned(),
        corrects: String::new(),
        idempotency_key: fresh_key(),
    }
}

fn correct(approval: &pb::Approval, decision: Decision) -> pb::DecideJobRequest {
    pb::DecideJobRequest { corrects: approval.approval_id.clone(), ..decide(&approval.job_id, decision) }
}
