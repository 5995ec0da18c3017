//! The step of the Work stream: a whole session, which says every message that a worker can say.

use std::collections::BTreeMap;

use anyhow::Result;
use pb::work_request::{Drain, Hello, Message as In};
use pb::work_response::answered::Outcome;
use pb::work_response::{Answered, Message as Out};
use prost::Message as _;
use rand::Rng as _;
use tonic::Code;

use super::side::{RETRIED, Refusal};
use super::work::{check_extended, nobodys_lease, renew};
use super::{Walk, Who};
use crate::support::*;

/// A session of one tenant, and what was said on it so far.
struct Talk {
    session: WorkSession,
    said: Vec<u8>,
}

impl Talk {
    async fn say(&mut self, message: In) {
        self.said.extend(pb::WorkRequest { message: Some(message.clone()) }.encode_to_vec());
        self.session.say(message).await;
    }
}

impl Walk {
    async fn heard(&mut self, own: Who, talk: &mut Talk) -> Result<Out> {
        let message = talk.session.next().await?;
        self.hear(own, &talk.said, &pb::WorkResponse { message: Some(message.clone()) }.encode_to_vec());
        Ok(message)
    }

    /// The next answers, by job.
    async fn answers(&mut self, own: Who, talk: &mut Talk, count: usize) -> Result<BTreeMap<String, Outcome>> {
        let mut answers = BTreeMap::new();
        for _ in 0..count {
            match self.heard(own, talk).await? {
                Out::Answered(Answered { lease: Some(lease), outcome: Some(outcome) }) => {
                    answers.insert(lease.job_id, outcome);
                }
                other => panic!("not an answer: {other:?}"),
            }
        }
        assert_eq!(answers.len(), count, "each lease is answered once");
        Ok(answers)
    }

    pub async fn session(&mut self, own: Who) -> Result<()> {
        let (own_lease, others) = self.leases(own);
        if own_lease.is_none() && self.ready(own) == 0 {
            // The session has room for what there is and no more. One that leaves with room to spare may be leased, by a
            // claim under way, what is queued next, and gives it back: two transitions that no step has asked for.
            return Ok(());
        }
        let mut foreign: Vec<_> = others.into_iter().collect();
        foreign.push(nobodys_lease());
        let (mut talk, mut held) = self.greet(own, own_lease, &foreign).await?;

        let note = format!("a tenth for {}", self.sides[own].tenant);
        let leases: Vec<_> = held.iter().chain(&foreign).map(|lease| renew(lease, note.clone())).collect();
        talk.say(In::Heartbeat(pb::work_request::Heartbeat { leases })).await;
        match self.heard(own, &mut talk).await? {
            Out::Extended(extended) => check_extended(&extended.results, held.len()),
            other => panic!("not the heartbeat's answer: {other:?}"),
        }
        self.answer_foreign(own, &mut talk, &foreign).await?;
        let kept = held.split_off(held.len().min(1));
        self.drain(own, &mut talk, held.pop(), &kept, &foreign).await?;
        self.finish(own, &mut talk, kept).await?;
        assert_eq!(talk.session.end().await.code(), Code::Ok, "the worker has left in good order");
        Ok(())
    }

    /// Says hello with leases from before, and is pushed what it has room for of its own. Answers what it holds.
    async fn greet(
        &mut self,
        own: Who,
        own_lease: Option<pb::LeaseRef>,
        foreign: &[pb::LeaseRef],
    ) -> Result<(Talk, Vec<pb::LeaseRef>)> {
        let worker_id = self.worker_id(own);
        let mut held: Vec<_> = own_lease.into_iter().collect();
        let pushed = self.ready(own).min(self.rng.random_range(1..=3));
        let capacity = (held.len() + pushed) as i32;
        let hello = Hello { worker_id, held: held.iter().chain(foreign).cloned().collect(), ..hello(capacity) };
        self.walked.insert("WorkerService.Work".to_owned());
        let said = pb::WorkRequest { message: Some(In::Hello(hello.clone())) }.encode_to_vec();
        let mut talk = Talk { session: self.sides[own].worker.session(hello).await?, said };
        self.hear(own, &talk.said, &talk.session.welcome.encode_to_vec());
        check_extended(&talk.session.welcome.held, held.len());
        for _ in 0..pushed {
            match self.heard(own, &mut talk).await? {
                Out::Leased(job) => {
                    assert_eq!(job.tenant_id, self.sides[own].tenant.as_str());
                    self.sides[own].model.leased(&job);
                    held.extend(job.lease);
                }
                other => panic!("not a job: {other:?}"),
            }
        }
        Ok((talk, held))
    }

    /// Completes and fails what is not held: the other's lease is answered as nobody's.
    async fn answer_foreign(&mut self, own: Who, talk: &mut Talk, foreign: &[pb::LeaseRef]) -> Result<()> {
        let result = Some(json(&self.sides[own].content(9)));
        for lease in foreign {
            talk.say(In::Complete(pb::CompleteJobRequest { lease: Some(lease.clone()), result: result.clone() })).await;
        }
        let answers = self.answers(own, talk, foreign.len()).await?;
        check_refused(foreign, &answers);
        for lease in foreign {
            let message = format!("no space left for {}", self.sides[own].tenant);
            let failure =
                pb::FailJobRequest { lease: Some(lease.clone()), retryable: true, code: "c".to_owned(), message };
            talk.say(In::Fail(failure)).await;
        }
        let answers = self.answers(own, talk, foreign.len()).await?;
        check_refused(foreign, &answers);
        Ok(())
    }

    /// Takes no more, and gives one job back; what is the other's is not for this worker to give back.
    async fn drain(
        &mut self,
        own: Who,
        talk: &mut Talk,
        released: Option<pb::LeaseRef>,
        kept: &[pb::LeaseRef],
        foreign: &[pb::LeaseRef],
    ) -> Result<()> {
        // Where nothing is kept the session ends with the last of these answers.
        let release: Vec<_> = released.iter().chain(foreign).cloned().collect();
        let count = release.len();
        talk.say(In::Drain(Drain { release })).await;
        let answers = self.answers(own, talk, count).await?;
        check_refused(foreign, &answers);
        if let Some(released) = released {
            assert!(matches!(answers[&released.job_id], Outcome::Released(_)), "{answers:?}, {kept:?} are kept");
            self.sides[own].model.released(&released.job_id);
        }
        Ok(())
    }

    /// Answers what it kept.
    async fn finish(&mut self, own: Who, talk: &mut Talk, kept: Vec<pb::LeaseRef>) -> Result<()> {
        for lease in kept {
            let job_id = lease.job_id.clone();
            if self.chance(0.5) {
                let result = self.sides[own].content(9);
                talk.say(In::Complete(pb::CompleteJobRequest { lease: Some(lease), result: Some(json(&result)) }))
                    .await;
                self.sides[own].model.completed(&job_id, result);
            } else {
                let retryable = self.sides[own].model.job(&job_id).key.intent == RETRIED;
                let message = format!("no space left for {}", self.sides[own].tenant);
                let code = "disk_full".to_owned();
                talk.say(In::Fail(pb::FailJobRequest { lease: Some(lease), retryable, code, message })).await;
                self.sides[own].model.failed(&job_id);
            }
            let outcome = self.answers(own, talk, 1).await?.remove(&job_id);
            let state = match &outcome {
                Some(Outcome::Completed(completed)) => completed.state(),
                Some(Outcome::Failed(failed)) => failed.state(),
                other => panic!("not answered: {other:?}"),
            };
            assert_eq!(state, self.sides[own].model.job(&job_id).state());
        }
        Ok(())
    }
}

fn check_refused(foreign: &[pb::LeaseRef], answers: &BTreeMap<String, Outcome>) {
    let refusals: Vec<Refusal> = foreign
        .iter()
        .map(|lease| match answers.get(&lease.job_id) {
            Some(Outcome::Error(status)) => Refusal::from(status),
            other => panic!("answered for another's job: {other:?}"),
        })
        .collect();
    assert!(refusals.iter().all(|refusal| refusal.reason == Some(Reason::Job404NotFound)), "{refusals:?}");
    assert!(refusals.windows(2).all(|pair| pair[0] == pair[1]), "{refusals:?}");
}
