//! Graphs of jobs: none ran before what it waits for had ended, and each stands where its dependencies leave it.

use std::collections::BTreeMap;

use super::tables::{EventRow, JobRow};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    Block,
    Cancel,
    Run,
}

/// A job of the graph, as it was submitted.
#[derive(Debug, Clone)]
pub struct Node {
    pub job_id: String,
    pub waits_for: Vec<(String, OnFailure)>,
}

/// What its dependencies make of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Free,
    Blocked,
    Cancelled,
}

/// `withdrawn` are the jobs that somebody tried to cancel.
pub fn violations(
    nodes: &[Node],
    withdrawn: &[String],
    jobs: &BTreeMap<String, JobRow>,
    histories: &BTreeMap<String, Vec<EventRow>>,
) -> Vec<String> {
    let mut violations = Vec::new();
    for node in nodes {
        let Some(job) = jobs.get(&node.job_id) else {
            violations.push(format!("lost: job {} was acknowledged and is not there", node.job_id));
            continue;
        };
        let history = histories.get(&node.job_id).map(Vec::as_slice).unwrap_or_default();
        if let Some(began) = history.iter().find(|event| event.to_state == "running") {
            violations.extend(too_early(node, began, jobs, histories));
        }
        let fate = fate(node, jobs);
        let by_hand = job.state == "cancelled" && withdrawn.contains(&node.job_id);
        let expected: &[&str] = match fate {
            Fate::Free => &["done"],
            Fate::Blocked => &["blocked"],
            Fate::Cancelled => &["cancelled"],
        };
        if !by_hand && !expected.contains(&job.state.as_str()) {
            violations.push(format!("dependencies: job {} is {} and should be {fate:?}", node.job_id, job.state));
        }
    }
    violations
}

fn fate(node: &Node, jobs: &BTreeMap<String, JobRow>) -> Fate {
    let states = || node.waits_for.iter().filter_map(|(job_id, on)| Some((jobs.get(job_id)?, on)));
    if states().any(|(job, on)| *on == OnFailure::Cancel && job.is_final() && job.state != "done") {
        Fate::Cancelled
    } else if states().any(|(job, on)| !job.is_final() || *on == OnFailure::Block && job.state != "done") {
        Fate::Blocked
    } else {
        Fate::Free
    }
}

fn too_early(
    node: &Node,
    began: &EventRow,
    jobs: &BTreeMap<String, JobRow>,
    histories: &BTreeMap<String, Vec<EventRow>>,
) -> Vec<String> {
    let ended = |job_id: &String| {
        let last = histories.get(job_id)?.last()?;
        jobs.get(job_id).filter(|job| job.is_final()).map(|_| last.occurred_at_us)
    };
    let early = node.waits_for.iter().filter(|(job_id, _)| ended(job_id).is_none_or(|at| at > began.occurred_at_us));
    early.map(|(job_id, _)| format!("order: job {} ran before job {job_id} had ended", node.job_id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(job_id: &str, state: &str) -> (String, JobRow) {
        let row = JobRow {
            job_id: job_id.into(),
            tenant_id: "t".into(),
            project_id: "p".into(),
            idempotency_key: job_id.into(),
            state: state.into(),
            seq: 1,
            result: None,
        };
        (job_id.to_owned(), row)
    }

    fn event(job_id: &str, to_state: &str, occurred_at_us: i64) -> EventRow {
        EventRow {
            job_id: job_id.into(),
            seq: 1,
            tenant_id: "t".into(),
            project_id: "p".into(),
            event_id: String::new(),
            to_state: to_state.into(),
            fence: 0,
            actor_id: "a".into(),
            command_key: None,
            occurred_at_us,
        }
    }

    fn found(first: &str, on: OnFailure, second: &str, withdrawn: &[String]) -> Vec<String> {
        let nodes = [
            Node { job_id: "a".into(), waits_for: vec![] },
            Node { job_id: "b".into(), waits_for: vec![("a".into(), on)] },
        ];
        let jobs = [job("a", first), job("b", second)].into();
        let withdrawn = [&["a".to_owned()], withdrawn].concat();
        violations(&nodes, &withdrawn, &jobs, &BTreeMap::new())
    }

    #[test]
    fn each_stands_where_its_dependencies_leave_it() {
        use OnFailure::{Block, Cancel, Run};
        for (first, on, second) in [
            ("done", Block, "done"),
            ("cancelled", Block, "blocked"),
            ("cancelled", Cancel, "cancelled"),
            ("cancelled", Run, "done"),
        ] {
            assert_eq!(found(first, on, second, &[]), [""; 0]);
            for wrong in ["done", "blocked", "cancelled", "queued"].iter().filter(|wrong| **wrong != second) {
                assert_eq!(found(first, on, wrong, &[]).len(), 1, "{first} {on:?} {wrong}");
            }
        }
        assert_eq!(found("done", Block, "cancelled", &["b".to_owned()]), [""; 0]);
    }

    #[test]
    fn a_job_that_ran_too_early_is_found() {
        let nodes = [Node { job_id: "b".into(), waits_for: vec![("a".into(), OnFailure::Run)] }];
        let of = |ended: i64| {
            let histories = BTreeMap::from([
                ("a".to_owned(), vec![event("a", "running", 1), event("a", "done", ended)]),
                ("b".to_owned(), vec![event("b", "running", 5), event("b", "done", 9)]),
            ]);
            violations(&nodes, &[], &[job("a", "done"), job("b", "done")].into(), &histories)
        };
        assert_eq!(of(5), [""; 0]);
        assert_eq!(of(6).len(), 1);
    }
}
