//! The leases a worker holds, across sessions: what is being done under each, until when it is certainly valid, and what
//! was answered but not acknowledged.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use tokio::{
    task::{AbortHandle, Id},
    time::Instant,
};

use super::job::{Job, Verdict};
use crate::pb::{
    CompleteJobRequest, FailJobRequest, LeaseExtension, LeaseRef, Progress, WorkRequest,
    work_request::{Heartbeat, Message},
};

/// In one heartbeat: notes of progress included, it stays far below what one message may hold.
const LEASES_PER_HEARTBEAT: usize = 250;

#[derive(Debug, Default)]
pub(super) struct Held {
    by_lease: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    job: Job,
    work: AbortHandle,
    /// Sent again on each new session until it is acknowledged.
    answer: Option<Message>,
    /// The service could not take the answer just now; it is sent again with the next heartbeat.
    postponed: bool,
    /// By this side's clock, counted from when the heartbeat was sent that the service has granted: the lease lasts at
    /// least until then, and not much longer.
    valid_until: Instant,
    /// When the heartbeats were sent that are not answered yet.
    heartbeats: VecDeque<Instant>,
    /// On this session.
    progress_sent: Option<Progress>,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.by_lease.is_empty()
    }

    pub(super) fn contains(&self, lease_id: &str) -> bool {
        self.by_lease.contains_key(lease_id)
    }

    pub(super) fn begin(&mut self, job: Job, work: AbortHandle, valid_until: Instant) {
        let entry = Entry {
            work,
            answer: None,
            postponed: false,
            valid_until,
            heartbeats: VecDeque::new(),
            progress_sent: None,
            job,
        };
        self.by_lease.insert(entry.job.lease().lease_id.clone(), entry);
    }

    pub(super) fn lease_of(&self, work: Id) -> Option<String> {
        let mut entries = self.by_lease.iter();
        entries.find(|(_, entry)| entry.work.id() == work).map(|(lease_id, _)| lease_id.clone())
    }

    /// The message that answers the job, unless the lease is gone by now.
    pub(super) fn answer(&mut self, lease_id: &str, verdict: Verdict) -> Option<WorkRequest> {
        let entry = self.by_lease.get_mut(lease_id)?;
        let lease = Some(entry.job.lease().clone());
        let message = match verdict {
            Ok(result) => Message::Complete(CompleteJobRequest { lease, result: Some(result) }),
            Err(error) => Message::Fail(FailJobRequest {
                lease,
                retryable: error.retryable,
                code: error.code,
                message: error.message,
            }),
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

    pub(super) fn take_postponed(&mut self) -> Vec<WorkRequest> {
        let postponed =
            self.by_lease.values_mut().filter_map(|entry| std::mem::take(&mut entry.postponed).then_some(entry));
        let answers = postponed.filter_map(|entry| entry.answer.clone());
        answers.map(|message| WorkRequest { message: Some(message) }).collect()
    }

    /// The service has spoken about an answer; nothing is held any more.
    pub(super) fn settle(&mut self, lease_id: &str) {
        self.by_lease.remove(lease_id);
    }

    /// The lease is void: its work is to stop. One that is answered already stays, since its answer may have arrived
    /// before the lease ended and asking again will tell. Answers with the work that was given up.
    pub(super) fn revoke(&mut self, lease_id: &str) -> Option<(Job, AbortHandle)> {
        if self.by_lease.get(lease_id)?.answer.is_some() {
            return None;
        }
        let entry = self.by_lease.remove(lease_id)?;
        entry.job.stopped().cancel();
        Some((entry.job, entry.work))
    }

    /// Leases that have run out without anybody saying so.
    pub(super) fn expired(&self, now: Instant) -> Vec<String> {
        let expired = self.unanswered().filter(|entry| entry.valid_until <= now);
        expired.map(|entry| entry.job.lease().lease_id.clone()).collect()
    }

    /// When the next one runs out.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.unanswered().map(|entry| entry.valid_until).min()
    }

    /// A new session begins with all that is held, asked for now.
    pub(super) fn reintroduce(&mut self, now: Instant) -> Vec<LeaseRef> {
        for entry in self.by_lease.values_mut() {
            entry.heartbeats = VecDeque::from([now]);
            entry.progress_sent = None;
        }
        self.by_lease.values().map(|entry| entry.job.lease().clone()).collect()
    }

    pub(super) fn heartbeats(&mut self, now: Instant) -> Vec<WorkRequest> {
        let extensions: Vec<LeaseExtension> = self.by_lease.values_mut().map(|entry| entry.heartbeat(now)).collect();
        let heartbeat = |leases: &[LeaseExtension]| WorkRequest {
            message: Some(Message::Heartbeat(Heartbeat { leases: leases.to_vec() })),
        };
        extensions.chunks(LEASES_PER_HEARTBEAT).map(heartbeat).collect()
    }

    /// A heartbeat was granted. Answers to heartbeats may come in any order: counted from the earliest that is open, the
    /// lease is valid whichever this was.
    pub(super) fn extended(&mut self, lease_id: &str, ttl: Duration) {
        if let Some(entry) = self.by_lease.get_mut(lease_id)
            && let Some(sent_at) = entry.heartbeats.pop_front()
        {
            entry.valid_until = entry.valid_until.max(sent_at + ttl);
        }
    }

    /// A heartbeat was not taken just now. Counted as the latest: the grants that are still to come are of earlier ones.
    pub(super) fn not_extended(&mut self, lease_id: &str) {
        if let Some(entry) = self.by_lease.get_mut(lease_id) {
            entry.heartbeats.pop_back();
        }
    }

    /// Tells all work that is not answered to stop.
    pub(super) fn stop_all(&self) {
        self.unanswered().for_each(|entry| entry.job.stopped().cancel());
    }

    /// Ends all work that is not answered.
    pub(super) fn abort_all(&self) {
        self.unanswered().for_each(|entry| entry.work.abort());
    }

    pub(super) fn unanswered_leases(&self) -> Vec<LeaseRef> {
        self.unanswered().map(|entry| entry.job.lease().clone()).collect()
    }

    /// Whether work goes on that nobody has answered for.
    pub(super) fn has_running(&self) -> bool {
        self.unanswered().any(|entry| !entry.work.is_finished())
    }

    pub(super) fn unacknowledged(&self) -> Vec<WorkRequest> {
        let answers = self.by_lease.values().filter_map(|entry| entry.answer.clone());
        answers.map(|message| WorkRequest { message: Some(message) }).collect()
    }

    fn unanswered(&self) -> impl Iterator<Item = &Entry> {
        self.by_lease.values().filter(|entry| entry.answer.is_none())
    }
}

impl Entry {
    fn heartbeat(&mut self, now: Instant) -> LeaseExtension {
        self.heartbeats.push_back(now);
        let latest = self.job.latest_progress();
        let progress = latest.filter(|latest| self.progress_sent.as_ref() != Some(latest));
        if progress.is_some() {
            self.progress_sent.clone_from(&progress);
        }
        LeaseExtension { lease: Some(self.job.lease().clone()), progress }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;
    use crate::{Client, JobError, Payload, pb::LeasedJob};

    const TTL: Duration = Duration::from_secs(30);

    fn held(tasks: &mut JoinSet<()>, ids: &[&str]) -> Held {
        let mut held = Held::default();
        for id in ids {
            let lease = LeaseRef { job_id: format!("job-{id}"), lease_id: (*id).to_owned(), fencing_token: 1 };
            let client = Client::builder("http://127.0.0.1:1").build().unwrap();
            let job = Job::new(LeasedJob { lease: Some(lease), ..LeasedJob::default() }, client).unwrap();
            held.begin(job, tasks.spawn(std::future::pending()), Instant::now() + TTL);
        }
        held
    }

    #[tokio::test]
    async fn an_answer_is_repeated_until_it_is_settled() {
        let mut tasks = JoinSet::new();
        let mut held = held(&mut tasks, &["a"]);
        let sent = held.answer("a", Ok(Payload::default())).unwrap();
        assert_eq!(held.unacknowledged(), [sent]);
        held.settle("a");
        assert!(held.unacknowledged().is_empty() && held.is_empty());
    }

    #[tokio::test]
    async fn a_result_that_was_refused_gives_way_to_a_failure() {
        let mut tasks = JoinSet::new();
        let mut held = held(&mut tasks, &["a"]);
        assert!(!held.is_completed("a"));
        held.answer("a", Ok(Payload::default()));
        assert!(held.is_completed("a"));
        let sent = held.answer("a", Err(JobError::permanent("result_refused", "why"))).unwrap();
        assert!(!held.is_completed("a"));
        assert_eq!(held.unacknowledged(), [sent]);
    }

    #[tokio::test]
    async fn a_void_lease_stops_its_work_unless_it_is_answered() {
        let mut tasks = JoinSet::new();
        let mut held = held(&mut tasks, &["a", "b"]);
        held.answer("b", Ok(Payload::default()));
        let (job, _) = held.revoke("a").unwrap();
        assert!(job.stopped().is_cancelled());
        assert!(held.revoke("b").is_none(), "whether the answer counted is for the service to say");
        assert!(held.revoke("unknown").is_none());
        assert!(held.answer("a", Ok(Payload::default())).is_none());
    }

    #[tokio::test]
    async fn only_what_is_not_answered_is_given_back() {
        let mut tasks = JoinSet::new();
        let mut held = held(&mut tasks, &["a", "b"]);
        held.answer("b", Ok(Payload::default()));
        let given_back: Vec<String> = held.unanswered_leases().into_iter().map(|lease| lease.lease_id).collect();
        assert_eq!(given_back, ["a"]);
        held.abort_all();
        assert!(tasks.join_next().await.unwrap().unwrap_err().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_lasts_from_the_earliest_heartbeat_that_may_have_been_granted() {
        let mut tasks = JoinSet::new();
        let mut held = held(&mut tasks, &["a"]);
        let began = Instant::now();
        for seconds in [10, 20] {
            tokio::time::advance(Duration::from_secs(10)).await;
            assert_eq!(held.heartbeats(began + Duration::from_secs(seconds)).len(), 1);
        }
        // One of the two was not taken; which one, the order of the answers does not tell.
        held.not_extended("a");
        held.extended("a", TTL);
        assert_eq!(held.next_expiry(), Some(began + Duration::from_secs(10) + TTL));
        held.extended("a", TTL);
        assert_eq!(held.next_expiry(), Some(began + Duration::from_secs(10) + TTL), "nothing is open");
        assert!(held.expired(began + Duration::from_secs(39)).is_empty());
        assert_eq!(held.expired(began + Duration::from_secs(40)), ["a"]);
        held.answer("a", Ok(Payload::default()));
        assert_eq!(held.next_expiry(), None, "what is answered waits for the service's word");
    }

    #[tokio::test]
    async fn progress_is_sent_once_and_again_on_another_session() {
        let mut tasks = JoinSet::new();
        let mut held = held(&mut tasks, &["a"]);
        let percent = |requests: Vec<WorkRequest>| match requests.into_iter().next().unwrap().message {
            Some(Message::Heartbeat(heartbeat)) => heartbeat.leases[0].progress.as_ref().map(|said| said.percent),
            other => panic!("{other:?}"),
        };
        let now = Instant::now();
        assert_eq!(percent(held.heartbeats(now)), None);
        held.by_lease["a"].job.progress(40, "");
        assert_eq!(percent(held.heartbeats(now)), Some(40));
        assert_eq!(percent(held.heartbeats(now)), None);
        held.reintroduce(now);
        assert_eq!(percent(held.heartbeats(now)), Some(40));
    }

    #[tokio::test]
    async fn many_leases_take_several_heartbeats() {
        let mut tasks = JoinSet::new();
        let ids: Vec<String> = (0..=LEASES_PER_HEARTBEAT).map(|n| n.to_string()).collect();
        let mut held = held(&mut tasks, &ids.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(held.heartbeats(Instant::now()).len(), 2);
    }
}
