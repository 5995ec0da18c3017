//! Projects that run one job at a time: from the history rows, by the database's clock.

use std::collections::BTreeMap;

use super::tables::EventRow;

struct Interval<'a> {
    start_us: i64,
    end_us: i64,
    job_id: &'a str,
}

/// From each lease of a job to its next row, the intervals of one project do not overlap. `serial` says which projects
/// are held to it.
pub fn overlaps(histories: &BTreeMap<String, Vec<EventRow>>, serial: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut of_project: BTreeMap<(&str, &str), Vec<Interval<'_>>> = BTreeMap::new();
    for history in histories.values() {
        for (index, event) in history.iter().enumerate() {
            if event.to_state != "running" || !serial(&event.tenant_id, &event.project_id) {
                continue;
            }
            let end_us = history.get(index + 1).map_or(i64::MAX, |next| next.occurred_at_us);
            let intervals = of_project.entry((&event.tenant_id, &event.project_id)).or_default();
            intervals.push(Interval { start_us: event.occurred_at_us, end_us, job_id: &event.job_id });
        }
    }
    let mut violations = Vec::new();
    for (project, mut intervals) in of_project {
        intervals.sort_unstable_by_key(|interval| interval.start_us);
        for pair in intervals.windows(2) {
            let [earlier, later] = pair else { continue };
            if later.start_us < earlier.end_us {
                violations.push(format!(
                    "overlap: {project:?} ran {} until {} us and {} from {} us",
                    earlier.job_id, earlier.end_us, later.job_id, later.start_us
                ));
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
