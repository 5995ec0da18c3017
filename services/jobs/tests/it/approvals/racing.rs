//! Decisions that race: one wins, whoever else decides is told what stands.

use anyhow::Result;
use holdfast_caller::Role;
use pb::{Decision, JobState};

use super::{as_role, dangerous, decide};
use crate::support::*;

#[test]
fn of_many_decisions_at_once_one_stands() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let other = world.another_instance().await?;
        let tenant = tenant();
        let alice = world.user("alice", &tenant);
        for _ in 0..20 {
            let job_id = alice.submit_job(dangerous()).await?.job_id;
            let kinds = [Decision::Approve, Decision::Reject, Decision::RequestChanges];
            let calls = (0..12).map(|number: usize| {
                let caller = as_role(world, &format!("owner-{number}"), &tenant, Role::Owner);
                let caller = if number.is_multiple_of(2) { caller } else { caller.over(&other) };
                let request = decide(&job_id, kinds[number % 3]);
                async move { (kinds[number % 3], caller.decide_job(request).await) }
            });
            let outcomes = futures::future::join_all(calls).await;
            let stands = alice.list_approvals(pb::ListApprovalsRequest { job_id: job_id.clone() }).await?.approvals;
            let mut agreed = 0;
            for (decision, outcome) in outcomes {
                match outcome {
                    Ok(decided) => {
                        assert_eq!((decided.replayed, decision), (false, stands[0].decision()));
                        agreed += 1;
                    }
                    refusal => {
                        refused(refusal, Reason::Approval409DecisionConflict);
                        assert_ne!(decision, stands[0].decision());
                    }
                }
            }
            assert!(stands.len() == agreed && agreed > 0, "{agreed} agreed: {stands:?}");
            assert!(stands.iter().zip(1..).all(|(record, number)| record.number == number), "{stands:?}");
            let expected = match stands[0].decision() {
                Decision::Approve => JobState::Queued,
                Decision::Reject => JobState::Rejected,
                _ => JobState::ChangesRequested,
            };
            let seen = alice.job(&job_id).await?;
            assert_eq!((seen.state(), seen.seq), (expected, 2));
        }
        Ok(())
    })
}
