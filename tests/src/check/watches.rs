//! What watchers were sent, against the history.

use std::collections::{BTreeMap, HashMap, HashSet};

use holdfast_proto::jobs::v1::JobEvent;

use super::tables::EventRow;

/// A transition as a watcher was told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub job_id: String,
    pub seq: i64,
    pub event_id: String,
    pub to_state: String,
}

impl From<JobEvent> for Seen {
    fn from(event: JobEvent) -> Self {
        let to_state = event.to_state().as_str_name().trim_start_matches("JOB_STATE_").to_lowercase();
        Self { job_id: event.job_id, seq: event.seq, event_id: event.event_id, to_state }
    }
}

/// What one watcher was sent: in one life after the other, each begun with the last token of the one before.
#[derive(Debug, Default)]
pub struct Watched {
    pub name: String,
    pub lives: Vec<Vec<Seen>>,
}

/// Every transition came, and nothing else did. The first time in the order of each job's numbers, without a gap; again only
/// in another life, as the same event: shortly after a break, or once Redis has lost it. `history`: what was to be watched, from the first transition of each job on.
/// Answers the violations, and how many came again.
pub fn violations<'a>(watched: &Watched, history: impl Iterator<Item = &'a EventRow>) -> (Vec<String>, usize) {
    let name = &watched.name;
    let rows: BTreeMap<(&str, i64), &EventRow> = history.map(|row| ((row.job_id.as_str(), row.seq), row)).collect();
    let (mut violations, mut again) = (Vec::new(), 0);
    let mut newest: HashMap<&str, i64> = HashMap::new();
    for life in &watched.lives {
        let mut of_life: HashSet<(&str, i64)> = HashSet::new();
        for Seen { job_id, seq, event_id, to_state } in life {
            let what = format!("{name} was sent number {seq} of job {job_id}");
            match rows.get(&(job_id.as_str(), *seq)) {
                None => violations.push(format!("invented: {what}, which is not there")),
                Some(row) if (&row.event_id, &row.to_state) != (event_id, to_state) => {
                    violations.push(format!("altered: {what} as {event_id} {to_state}, and it is {row:?}"));
                }
                Some(_) => {}
            }
            if !of_life.insert((job_id, *seq)) {
                violations.push(format!("twice: {what} before"));
            }
            let newest = newest.entry(job_id).or_default();
            if *seq > *newest + 1 {
                violations.push(format!("gap: {what} when {newest} had come"));
            }
            again += usize::from(*seq <= *newest);
            *newest = (*newest).max(*seq);
        }
    }
    // What was skipped before is said above.
    let missing = rows.keys().filter(|(job_id, seq)| newest.get(job_id).is_none_or(|newest| newest < seq));
    violations.extend(missing.map(|(job_id, seq)| format!("gap: {name} was never sent number {seq} of job {job_id}")));
    (violations, again)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(job_id: &str, seq: i64) -> EventRow {
        EventRow {
            job_id: job_id.into(),
            seq,
            tenant_id: "t".into(),
            project_id: "p".into(),
            event_id: format!("{job_id}{seq}"),
            to_state: "queued".into(),
            fence: 0,
            actor_id: "a".into(),
            command_key: None,
            occurred_at_us: 0,
        }
    }

    fn found(lives: &[&[(&str, i64)]]) -> (Vec<String>, usize) {
        let seen = |(job_id, seq): &(&str, i64)| Seen {
            job_id: (*job_id).to_owned(),
            seq: *seq,
            event_id: format!("{job_id}{seq}"),
            to_state: "queued".into(),
        };
        let lives = lives.iter().map(|life| life.iter().map(seen).collect()).collect();
        let history = [row("a", 1), row("a", 2), row("a", 3), row("b", 1)];
        violations(&Watched { name: "w".into(), lives }, history.iter())
    }

    #[test]
    fn what_comes_whole_and_in_order_is_good_and_may_come_again_after_a_break() {
        assert_eq!(found(&[&[("a", 1), ("b", 1), ("a", 2), ("a", 3)]]), (vec![], 0));
        assert_eq!(found(&[&[("a", 1), ("a", 2)], &[("a", 1), ("a", 2), ("a", 3), ("b", 1)]]), (vec![], 2));
        assert_eq!(found(&[&[("a", 1), ("a", 2)], &[("a", 3), ("b", 1), ("a", 1), ("a", 2)]]), (vec![], 2));
    }

    #[test]
    fn gaps_repetitions_and_inventions_are_found() {
        let said = |lives: &[&[(&str, i64)]], what: &str| {
            let (violations, _) = found(lives);
            assert!(!violations.is_empty() && violations.iter().all(|said| said.starts_with(what)), "{violations:?}");
        };
        said(&[&[("a", 1), ("b", 1), ("a", 3)]], "gap:");
        said(&[&[("a", 1), ("b", 1)], &[("a", 3)]], "gap:");
        said(&[&[("a", 1), ("a", 2), ("a", 3)]], "gap:");
        said(&[&[("a", 1), ("b", 1), ("a", 2)]], "gap:");
        said(&[&[("a", 1), ("a", 2), ("a", 2), ("b", 1), ("a", 3)]], "twice:");
        said(&[&[("a", 1), ("a", 2), ("b", 1), ("a", 3), ("a", 2)]], "twice:");
        said(&[&[("a", 1), ("a", 2), ("b", 1), ("a", 3), ("c", 1)]], "invented:");
    }
}
