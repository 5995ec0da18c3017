//! The leases a worker holds, across sessions: what is being done under each, and what was answered but not acknowledged.

use std::collections::BTreeMap;

use holdfast_proto::jobs::v1::{
    CompleteJobRequest, FailJobRequest, LeaseExtension, LeaseRef, WorkRequest,
    work_request::{Heartbeat, Message},
};
use tokio::task::AbortHandle;

use super::Outcome;

#[derive(Debug, Default)]
pub(super) struct Held {
    by_lease: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    lease: LeaseRef,
    work: AbortHandle,
    /// Sent again on each new session until it is acknowledged.
    answer: Option<Message>,
    /// The service could not take the answer just now; it is sent again with the next heartbeat.
    postponed: bool,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.by_lease.is_empty()
    }

    pub(super) fn contains(&self, lease_id: &str) -> bool {
        self.by_lease.contains_key(lease_id)
    }

    pub(super) fn begin(&mut self, lease: LeaseRef, work: AbortHandle) {
        self.by_lease.insert(lease.lease_id.clone(), Entry { lease, work, answer: None, postponed: false });
    }

    /// The message that answers the job, unless the lease is gone by now.
    pub(super) fn answer(&mut self, lease_id: &str, outcome: Outcome) -> Option<WorkRequest> {
        let entry = self.by_lease.get_mut(lease_id)?;
        let lease = Some(entry.lease.clone());
        let message = match outcome {
            Outcome::Done(result) => Message::Complete(CompleteJobRequest { lease, result: Some(result) }),
            Outcome::Failed { retryable, code, message } => {
                Message::Fail(FailJobRequest { lease, retryable, code, message })
            }
        };
        entry.answer = Some(message.clone());
        Some(WorkRequest { message: Some(message) })
    }

    /// The answer sent for it is a result.
    pub(super) fn is_completed(&self, lease_id: &str) -> bool {
        let answer = self.by_lease.get(lease_id).and_then(|entry| entry.answer.as_ref());
        matches!(answer, Some(Message::Complete(_)))
    }

    pub(super) fn postpone(&mut self, lease_id: &str) {
        if let Some(entry) = self.by_lease.get_mut(lease_id) {
            entry.postponed = true;
        }
    }

    pub(super) fn take_postponed(&mut self) -> impl Iterator<Item = WorkRequest> {
        let postponed =
            self.by_lease.values_mut().filter_map(|entry| std::mem::take(&mut entry.postponed).then_some(entry));
        postponed.filter_map(|entry| entry.answer.clone()).map(|message| WorkRequest { message: Some(message) })
    }

    /// The service has spoken about an answer; nothing is held any more.
    pub(super) fn settle(&mut self, lease_id: &str) {
        self.by_lease.remove(lease_id);
    }

    /// The lease is void: its work stops. One that is answered already stays, since its answer may have arrived before
    /// the lease ended and asking again will tell. Answers whether anything was given up.
    pub(super) fn revoke(&mut self, lease_id: &str) -> bool {
        match self.by_lease.get(lease_id) {
            Some(entry) if entry.answer.is_none() => entry.work.abort(),
            _ => return false,
        }
        self.by_lease.remove(lease_id);
        true
    }

    /// Stops all work that is not done and answers whose leases are to be given back.
    pub(super) fn give_up(&mut self) -> Vec<LeaseRef> {
        let unanswered = self.by_lease.values().filter(|entry| entry.answer.is_none());
        unanswered
            .map(|entry| {
                entry.work.abort();
                entry.lease.clone()
            })
            .collect()
    }

    pub(super) fn leases(&self) -> Vec<LeaseRef> {
        self.by_lease.values().map(|entry| entry.lease.clone()).collect()
    }

    pub(super) fn unacknowledged(&self) -> impl Iterator<Item = WorkRequest> {
        self.by_lease
            .values()
            .filter_map(|entry| entry.answer.clone())
            .map(|message| WorkRequest { message: Some(message) })
    }

    pub(super) fn heartbeat(&self) -> WorkRequest {
        let extension = |lease| LeaseExtension { lease: Some(lease), progress: None };
        let leases = self.leases().into_iter().map(extension).collect();
        WorkRequest { message: Some(Message::Heartbeat(Heartbeat { leases })) }
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::jobs::v1::Payload;
    use tokio::task::JoinSet;

    use super::*;

    fn held(tasks: &mut JoinSet<()>, ids: &[&str]) -> Held {
        let mut held = Held::default();
        for id in ids {
            let lease = LeaseRef { job_id: format!("job-{id}"), lease_id: (*id).to_owned(), fencing_token: 1 };
            held.begin(lease, tasks.spawn(std::future::pending()));
        }
        held
    }

    #[tokio::test]
    async fn an_answer_is_repeated_until_it_is_settled() {
        let mut tasks = JoinSet::new();
        let mut held = held(&mut tasks, &["a"]);
        let sent = held.answer("a", Outcome::Done(Payload::default())).unwrap();
        assert_eq!(held.unacknowledged().collect::<Vec<_>>(), [sent]);
        held.settle("a");
        assert_eq!(held.unacknowledged().count(), 0);
        assert!(held.is_empty());
    }

    #[tokio::test]
    async fn a_result_that_was_refused_gives_way_to_a_failure() {
        let mut tasks = JoinSet::new();
        let mut held = held(&mut tasks, &["a"]);
        assert!(!held.is_completed("a"));
        held.answer("a", Outcome::Done(Payload::default()));
        assert!(held.is_completed("a"));
        let sent = held.answer("a", Outcome::failed(false, "result_refused", "why")).unwrap();
        assert!(!held.is_completed("a"));
        assert_eq!(held.unacknowledged().collect::<Vec<_>>(), [sent]);
    }

    #[tokio::test]
    async fn a_void_lease_stops_its_work_unless_it_is_answered() {
        let mut tasks = JoinSet::new();
        let mut held = held(&mut tasks, &["a", "b"]);
        held.answer("b", Outcome::Done(Payload::default()));
        assert!(held.revoke("a"));
        assert!(!held.revoke("b"), "whether the answer counted is for the service to say");
        assert!(!held.revoke("unknown"));
        assert!(tasks.join_next().await.unwrap().unwrap_err().is_cancelled());
        assert!(held.answer("a", Outcome::Done(Payload::default())).is_none());
    }

    #[tokio::test]
    async fn only_what_is_not_answered_is_given_back() {
        let mut tasks = JoinSet::new();
        let mut held = held(&mut tasks, &["a", "b"]);
        held.answer("b", Outcome::Done(Payload::default()));
        let given_back: Vec<String> = held.give_up().into_iter().map(|lease| lease.lease_id).collect();
        assert_eq!(given_back, ["a"]);
    }
}
