//! Steps about jobs of tier C, and about doing a job anew.

use anyhow::Result;
use pb::{Decision, JobState};

use super::side::By;
use super::{Walk, Who};
use crate::support::*;

impl Walk {
    /// A job of tier C, and the owner's no: the other's job, and nobody's, are not to be decided about.
    pub async fn decide(&mut self, own: Who) -> Result<()> {
        let mut key = self.key(own, By::Alice);
        key.name = fresh_key();
        let payload = self.sides[own].content(0);
        let request = job().project(&key.project).intent(&key.intent).key(&key.name).payload(json(&payload));
        let request = request.tier(pb::RiskTier::C);
        let submitted = self.call::<pb::SubmitJobResponse>(own, By::Alice, "JobService.SubmitJob", &request).await;
        let job_id = submitted.expect("a new key").job_id;
        let model = &mut self.sides[own].model;
        model.submitted(key, payload, &job_id);
        model.job(&job_id).states = vec![JobState::WaitingHumanDecision];

        let reason = format!("not for {}", self.sides[own].tenant);
        let decide = |job_id: String| pb::DecideJobRequest {
            job_id,
            decision: Decision::Reject.into(),
            reason: reason.clone(),
            corrects: String::new(),
            // Both tenants decide under one key.
            idempotency_key: "the-decision".to_owned(),
        };
        if let (_, Some(others), nobodys) = self.job_ids(own) {
            let requests = (decide(others), decide(nobodys));
            let reason = self.refused_alike(own, By::Olga, "JobService.DecideJob", requests).await;
            assert_eq!(reason, Reason::Job404NotFound);
        }
        let decided =
            self.call::<pb::DecideJobResponse>(own, By::Olga, "JobService.DecideJob", &decide(job_id.clone())).await;
        assert_eq!(decided.expect("its own").approval.expect("a record").reason, reason);
        self.sides[own].model.job(&job_id).states.push(JobState::Rejected);
        Ok(())
    }

    pub async fn approvals(&mut self, own: Who) -> Result<()> {
        let (job_id, others, nobodys) = self.job_ids(own);
        let list = |job_id| pb::ListApprovalsRequest { job_id };
        if let Some(others) = others {
            let requests = (list(others), list(nobodys));
            let reason = self.refused_alike(own, By::Alice, "JobService.ListApprovals", requests).await;
            assert_eq!(reason, Reason::Job404NotFound);
        }
        let Some(job_id) = job_id else { return Ok(()) };
        let request = list(job_id.clone());
        let answer = self.call::<pb::ListApprovalsResponse>(own, By::Alice, "JobService.ListApprovals", &request).await;
        let is_rejected = self.sides[own].model.job(&job_id).state() == JobState::Rejected;
        assert_eq!(answer.expect("its own").approvals.len(), usize::from(is_rejected));
        Ok(())
    }

    pub async fn resubmit(&mut self, own: Who) -> Result<()> {
        let key_name = fresh_key();
        let resubmit = |job_id| pb::ResubmitJobRequest { job_id, idempotency_key: key_name.clone() };
        if let (_, Some(others), nobodys) = self.job_ids(own) {
            let requests = (resubmit(others), resubmit(nobodys));
            let reason = self.refused_alike(own, By::Alice, "JobService.ResubmitJob", requests).await;
            assert_eq!(reason, Reason::Job404NotFound);
        }
        let ended =
            [JobState::Done, JobState::Failed, JobState::Cancelled].map(|state| self.sides[own].model.in_state(state));
        let Some(old) = self.one_of(&ended.concat()) else { return Ok(()) };
        let request = resubmit(old.clone());
        let answer = self.call::<pb::ResubmitJobResponse>(own, By::Alice, "JobService.ResubmitJob", &request).await;
        let anew = answer.expect("its own").job.expect("a job");
        let model = &mut self.sides[own].model;
        let (mut key, payload) = (model.job(&old).key.clone(), model.job(&old).payload.clone());
        (key.name, key.actor) = (key_name, By::Alice.actor().to_owned());
        model.submitted(key, payload, &anew.job_id);
        Ok(())
    }
}
