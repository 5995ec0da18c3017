//! Projects that run one job at a time: from the history rows, by the database's clock.

use std::collections::BTreeMap;

use super::tables::EventRow;

/// From each lease of a job to its next row, the intervals of one project do not overlap. `serial` says which projects
/// are held to it.
pub fn overlaps(histories: &BTreeMap<String, Vec<EventRow>>, serial: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut of_project: BTreeMap<(&str, &str), Vec<(i64, i64, &str)>> = BTreeMap::new();
    for history in histories.values() {
        for (index, event) in history.iter().enumerate() {
            if event.to_state != "running" || !serial(&event.tenant_id, &event.project_id) {
                continue;
            }
            let end = history.get(index + 1).map_or(i64::MAX, |next| next.occurred_at_us);
            let intervals = of_project.entry((&event.tenant_id, &event.project_id)).or_default();
            intervals.push((event.occurred_at_us, end, &event.job_id));
        }
    }
    let mut violations = Vec::new();
    for (project, mut intervals) in of_project {
        intervals.sort_unstable();
        for pair in intervals.windows(2) {
            let [(_, end, first), (start, _, second)] = pair else { continue };
            if start < end {
                let overlap_us = end - start;
                violations.push(format!("overlap: {project:?} ran {first} and {second} together for {overlap_us} us"));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(job_id: &str, rows: &[(&str, i64)]) -> (String, Vec<EventRow>) {
        let rows = rows.iter().enumerate().map(|(index, (state, at))| EventRow {
            job_id: job_id.into(),
            seq: index as i64 + 1,
            tenant_id: "t".into(),
            project_id: "p".into(),
            event_id: String::new(),
            to_state: (*state).into(),
            fence: 0,
            actor_id: String::new(),
            command_key: None,
            occurred_at_us: *at,
        });
        (job_id.into(), rows.collect())
    }

    #[test]
    fn jobs_one_after_the_other_pass_and_an_overlap_is_found() {
        let first = history("a", &[("queued", 0), ("running", 10), ("done", 20)]);
        let after = history("b", &[("queued", 0), ("running", 20), ("done", 30)]);
        let within = history("b", &[("queued", 0), ("running", 19), ("done", 30)]);
        let serial = |_: &str, _: &str| true;
        assert_eq!(overlaps(&BTreeMap::from([first.clone(), after]), serial), [""; 0]);
        assert_eq!(overlaps(&BTreeMap::from([first.clone(), within.clone()]), serial).len(), 1);
        assert_eq!(overlaps(&BTreeMap::from([first, within]), |_, _| false), [""; 0]);
    }
}
