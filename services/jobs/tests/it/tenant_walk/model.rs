//! What one tenant has done, and what must have come of it.

use std::collections::BTreeMap;

use pb::JobState;

use super::side::RETRIED;
use crate::support::*;

/// A key within its tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub project: String,
    pub intent: String,
    pub actor: String,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    Job { job_id: String },
    Reserved { token: u64, request: String },
    Completed { token: u64, request: String, outcome: String },
}

#[derive(Debug, Clone)]
pub struct Job {
    pub key: Key,
    pub payload: String,
    /// Every state that it has been in, in order.
    pub states: Vec<JobState>,
    pub attempt: i32,
    /// The latest.
    pub lease: Option<pb::LeaseRef>,
    pub result: Option<String>,
    pub cancelled_under: Option<String>,
    /// Tokens of each report, in order.
    pub used: Vec<i64>,
}

impl Job {
    pub fn state(&self) -> JobState {
        *self.states.last().expect("a job begins with a state")
    }

    pub fn is_final(&self) -> bool {
        matches!(
            self.state(),
            JobState::Done | JobState::Failed | JobState::TimedOut | JobState::Cancelled | JobState::Rejected
        )
    }
}

/// What a submission is to come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submission {
    New,
    Replay { job_id: String },
    Conflict,
}

#[derive(Debug, Default)]
pub struct Model {
    pub jobs: BTreeMap<String, Job>,
    pub keys: BTreeMap<Key, Use>,
    /// The weights that each project was given, one a version.
    pub weights: BTreeMap<String, Vec<i32>>,
}

impl Model {
    pub fn submission(&self, key: &Key, payload: &str) -> Submission {
        match self.keys.get(key) {
            None => Submission::New,
            Some(Use::Job { job_id }) if self.jobs[job_id].payload == payload => {
                Submission::Replay { job_id: job_id.clone() }
            }
            Some(_) => Submission::Conflict,
        }
    }

    pub fn submitted(&mut self, key: Key, payload: String, job_id: &str) {
        self.keys.insert(key.clone(), Use::Job { job_id: job_id.to_owned() });
        let job = Job {
            key,
            payload,
            states: vec![JobState::Queued],
            attempt: 0,
            lease: None,
            result: None,
            cancelled_under: None,
            used: Vec::new(),
        };
        assert!(self.jobs.insert(job_id.to_owned(), job).is_none(), "{job_id} was there before");
    }

    pub fn job(&mut self, job_id: &str) -> &mut Job {
        self.jobs.get_mut(job_id).unwrap_or_else(|| panic!("{job_id} is not this tenant's"))
    }

    pub fn ids(&self) -> Vec<String> {
        self.jobs.keys().cloned().collect()
    }

    pub fn in_state(&self, state: JobState) -> Vec<String> {
        self.jobs.iter().filter(|(_, job)| job.state() == state).map(|(job_id, _)| job_id.clone()).collect()
    }

    /// The leases that are held now.
    pub fn leases(&self) -> Vec<pb::LeaseRef> {
        let running = self.jobs.values().filter(|job| job.state() == JobState::Running);
        running.filter_map(|job| job.lease.clone()).collect()
    }

    pub fn leased(&mut self, leased: &pb::LeasedJob) {
        let job = self.job(&id_of(leased));
        assert_eq!(job.state(), JobState::Queued, "{leased:?}");
        assert_eq!(leased.payload, Some(json(&job.payload)));
        job.states.push(JobState::Running);
        job.attempt += 1;
        assert_eq!(leased.attempt, job.attempt);
        job.lease = leased.lease.clone();
    }

    pub fn completed(&mut self, job_id: &str, result: String) {
        let job = self.job(job_id);
        job.states.push(JobState::Done);
        job.result = Some(result);
    }

    /// What a failed job is to become: those that are retried wait until the walk is over.
    pub fn failed(&mut self, job_id: &str) -> JobState {
        let job = self.job(job_id);
        let state = if job.key.intent == RETRIED { JobState::Retrying } else { JobState::Failed };
        job.states.push(state);
        state
    }

    pub fn released(&mut self, job_id: &str) {
        let job = self.job(job_id);
        job.states.push(JobState::Queued);
        job.attempt -= 1;
    }
}
