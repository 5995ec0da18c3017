//! What was acknowledged against what is stored: nothing lost, nothing done twice, nothing taken from a stale worker.

use std::collections::{BTreeMap, BTreeSet};

use super::tables::{EventRow, JobRow};
use crate::{
    journal::{LeaseKey, Record, Verdict},
    submit::Acknowledged,
    worker::result_of,
};

/// Every acknowledged submission is one job, and it has ended by being done.
pub fn nothing_lost(acknowledged: &Acknowledged, jobs: &BTreeMap<String, JobRow>) -> Vec<String> {
    let mut violations = Vec::new();
    for ((tenant, key), job_id) in &acknowledged.jobs {
        match jobs.get(job_id) {
            None => {
                violations.push(format!("lost: {tenant}/{key} was acknowledged as job {job_id}, which is not there"))
            }
            Some(job) if (&job.tenant_id, &job.idempotency_key) != (tenant, key) => {
                violations.push(format!("mistaken: {tenant}/{key} was answered with job {job:?}"));
            }
            Some(job) if job.state != "done" => {
                violations.push(format!("lost: job {job_id} of {tenant}/{key} ended as {}", job.state));
            }
            Some(_) => {}
        }
    }
    let mut of_key: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for job in jobs.values() {
        of_key.entry((&job.tenant_id, &job.idempotency_key)).or_default().push(&job.job_id);
    }
    let doubled = of_key.iter().filter(|(_, jobs)| jobs.len() > 1);
    violations.extend(doubled.map(|(key, jobs)| format!("doubled: key {key:?} queued the jobs {jobs:?}")));
    violations
}

/// The history of each job is whole: from 1 without gaps to the job's own number, fences only growing, one final row.
pub fn histories_whole(jobs: &BTreeMap<String, JobRow>, histories: &BTreeMap<String, Vec<EventRow>>) -> Vec<String> {
    let mut violations = Vec::new();
    for (job_id, job) in jobs {
        let history = histories.get(job_id).map(Vec::as_slice).unwrap_or_default();
        if !history.iter().map(|event| event.seq).eq(1..=job.seq) {
            violations.push(format!("history: job {job_id} is at {} but has {} rows", job.seq, history.len()));
        }
        let fences: Vec<i64> = history.iter().filter(|event| event.to_state == "running").map(|e| e.fence).collect();
        if !fences.is_sorted_by(|earlier, later| earlier < later) {
            violations.push(format!("fence: job {job_id} was leased under {fences:?}"));
        }
        let ends = history.iter().filter(|event| is_final(&event.to_state)).count();
        if ends > 1 || ends == 1 && !history.last().is_some_and(|event| is_final(&event.to_state)) {
            violations.push(format!("final: job {job_id} went on after its end, or ended {ends} times"));
        }
    }
    violations
}

fn is_final(state: &str) -> bool {
    matches!(state, "done" | "failed" | "timed_out" | "cancelled")
}

/// What workers were told, against histories and results.
pub fn answers_counted_once(
    records: &[Record],
    jobs: &BTreeMap<String, JobRow>,
    histories: &BTreeMap<String, Vec<EventRow>>,
) -> Vec<String> {
    let mut violations = Vec::new();
    let mut completed: BTreeMap<&str, BTreeSet<&LeaseKey>> = BTreeMap::new();
    for record in records {
        let Record::Acknowledged { lease, verdict, .. } = record else { continue };
        let history = histories.get(&lease.job_id).map(Vec::as_slice).unwrap_or_default();
        violations.extend(answer_is_fresh(lease, *verdict, history));
        if *verdict == Verdict::Complete {
            completed.entry(&lease.job_id).or_default().insert(lease);
        }
    }
    for (job_id, leases) in completed {
        if leases.len() > 1 {
            violations.push(format!("completed twice: job {job_id} under {leases:?}"));
        }
        for lease in leases {
            let result = jobs.get(job_id).and_then(|job| job.result.as_deref());
            if result != Some(result_of(&lease.lease_id).as_bytes()) {
                let result = result.map(String::from_utf8_lossy);
                violations
                    .push(format!("lost: {lease:?} was told that it completed its job, whose result is {result:?}"));
            }
        }
    }
    violations
}

/// An acknowledged answer made one row, which follows the row of the very lease it was given under.
fn answer_is_fresh(lease: &LeaseKey, verdict: Verdict, history: &[EventRow]) -> Option<String> {
    let is_of_lease = |event: &EventRow| event.command_key.as_deref() == Some(&lease.lease_id);
    let rows: Vec<usize> = (0..history.len()).filter(|&at| is_of_lease(&history[at])).collect();
    for &at in &rows {
        let granted = history[..at].last().filter(|event| event.to_state == "running").map(|event| event.fence);
        if granted != i64::try_from(lease.fence).ok() {
            return Some(format!(
                "stale: {verdict:?} under {lease:?} was accepted over the lease with fence {granted:?}"
            ));
        }
    }
    match rows.len() {
        0 => Some(format!("lost: the answer {verdict:?} under {lease:?} was acknowledged and is not recorded")),
        1 => None,
        twice => Some(format!("answered twice: {lease:?} made {twice} rows")),
    }
}

/// How much the workers were given and told, for the report: a proof without refusals has proved little.
#[derive(Debug, Default)]
pub struct Tally {
    pub leased: usize,
    pub completed: usize,
    pub failed: usize,
    pub replayed: usize,
    pub refused_stale: usize,
    pub refused_ended: usize,
}

impl Tally {
    pub fn of(records: &[Record]) -> Self {
        let mut tally = Self::default();
        for record in records {
            match record {
                Record::Leased { .. } => tally.leased += 1,
                Record::Acknowledged { verdict, replayed, .. } => {
                    tally.replayed += usize::from(*replayed);
                    match verdict {
                        Verdict::Complete => tally.completed += 1,
                        Verdict::FailRetryable => tally.failed += 1,
                    }
                }
                Record::Refused { reason, .. } if reason == "JOB_409_STALE_FENCE" => tally.refused_stale += 1,
                Record::Refused { .. } => tally.refused_ended += 1,
                Record::Answering { .. } | Record::Revoked { .. } => {}
            }
        }
        tally
    }

    pub fn counts(&self) -> [(&'static str, usize); 6] {
        [
            ("leases", self.leased),
            ("completed", self.completed),
            ("failed for a retry", self.failed),
            ("answers replayed", self.replayed),
            ("stale answers refused", self.refused_stale),
            ("late answers refused", self.refused_ended),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(fence: u64) -> LeaseKey {
        LeaseKey { job_id: "j".into(), lease_id: format!("l{fence}"), fence }
    }

    fn event(seq: i64, to_state: &str, fence: i64, command_key: Option<&str>) -> EventRow {
        EventRow {
            job_id: "j".into(),
            seq,
            tenant_id: "t".into(),
            project_id: "p".into(),
            event_id: seq.to_string(),
            to_state: to_state.into(),
            fence,
            actor_id: "a".into(),
            command_key: command_key.map(str::to_owned),
            occurred_at_us: seq,
        }
    }

    fn job(seq: i64, state: &str, result: Option<&str>) -> BTreeMap<String, JobRow> {
        let row = JobRow {
            job_id: "j".into(),
            tenant_id: "t".into(),
            project_id: "p".into(),
            idempotency_key: "k".into(),
            state: state.into(),
            seq,
            result: result.map(|lease_id| result_of(lease_id).into_bytes()),
        };
        BTreeMap::from([("j".into(), row)])
    }

    fn completed(fence: u64) -> Record {
        Record::Acknowledged { lease: lease(fence), verdict: Verdict::Complete, replayed: false }
    }

    fn of(history: Vec<EventRow>) -> BTreeMap<String, Vec<EventRow>> {
        BTreeMap::from([("j".into(), history)])
    }

    #[test]
    fn an_honest_history_passes() {
        let history = of(vec![
            event(1, "queued", 0, None),
            event(2, "running", 7, None),
            event(3, "retrying", 7, None),
            event(4, "running", 9, None),
            event(5, "done", 9, Some("l9")),
        ]);
        let jobs = job(5, "done", Some("l9"));
        assert_eq!(histories_whole(&jobs, &history), [""; 0]);
        assert_eq!(answers_counted_once(&[completed(9)], &jobs, &history), [""; 0]);
        let acknowledged = BTreeMap::from([(("t".into(), "k".into()), "j".into())]);
        let acknowledged = Acknowledged { jobs: acknowledged, ..Default::default() };
        assert_eq!(nothing_lost(&acknowledged, &jobs), [""; 0]);
        assert_eq!(nothing_lost(&acknowledged, &job(4, "running", None)).len(), 1);
        assert_eq!(nothing_lost(&acknowledged, &BTreeMap::new()).len(), 1);
    }

    #[test]
    fn a_stale_answer_is_found() {
        let history = of(vec![
            event(1, "queued", 0, None),
            event(2, "running", 7, None),
            event(3, "retrying", 7, None),
            event(4, "running", 9, None),
            event(5, "done", 9, Some("l7")),
        ]);
        let found = answers_counted_once(&[completed(7)], &job(5, "done", Some("l7")), &history);
        assert!(found.len() == 1 && found[0].starts_with("stale"), "{found:?}");
    }

    #[test]
    fn an_answer_that_counts_again_under_a_later_lease_is_found() {
        let history = of(vec![
            event(1, "queued", 0, None),
            event(2, "running", 7, None),
            event(3, "retrying", 7, Some("l7")),
            event(4, "running", 9, None),
            event(5, "retrying", 9, Some("l7")),
        ]);
        let failed = Record::Acknowledged { lease: lease(7), verdict: Verdict::FailRetryable, replayed: false };
        let found = answers_counted_once(&[failed], &job(5, "retrying", None), &history);
        assert!(found.len() == 1 && found[0].starts_with("stale"), "{found:?}");
    }

    #[test]
    fn an_answer_that_left_no_row_or_another_result_is_found() {
        let history = of(vec![event(1, "queued", 0, None), event(2, "running", 7, None)]);
        assert_eq!(answers_counted_once(&[completed(7)], &job(2, "running", None), &history).len(), 2);
    }

    #[test]
    fn gaps_falling_fences_and_life_after_the_end_are_found() {
        let gap = of(vec![event(1, "queued", 0, None), event(3, "running", 7, None)]);
        assert_eq!(histories_whole(&job(3, "running", None), &gap).len(), 1);
        let falling = of(vec![event(1, "queued", 0, None), event(2, "running", 7, None), event(3, "running", 7, None)]);
        assert_eq!(histories_whole(&job(3, "running", None), &falling).len(), 1);
        let revived =
            of(vec![event(1, "queued", 0, None), event(2, "cancelled", 0, None), event(3, "running", 7, None)]);
        assert_eq!(histories_whole(&job(3, "running", None), &revived).len(), 1);
    }
}
