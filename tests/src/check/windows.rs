//! Idempotency, from the clients' log alone: for each key a row of windows, each with one payload and one job, and every
//! answer one that this row allows at some moment between the call and its answer.
//!
//! Clients and database run on one machine and read one clock, so a window's times can be compared with a client's.

use std::collections::{BTreeMap, BTreeSet};

/// What a client was told, and between which two moments it was decided, in microseconds of the machine's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub tenant: String,
    pub key: String,
    pub payload: u8,
    pub sent_us: i64,
    pub answered_us: i64,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Taken { job_id: String, generation: i64, replayed: bool, window_end_us: i64 },
    Conflict,
    Other(String),
}

/// One window of one key, as its answers tell it.
#[derive(Debug)]
struct Window {
    payload: u8,
    job_id: String,
    opens_us: i64,
    ends_us: i64,
    opened: usize,
}

type Scope<'a> = (&'a str, &'a str);

/// The windows of each key and everything wrong with the answers. `window_us` is how long a window lasts.
pub fn check(calls: &[Call], window_us: i64) -> (Vec<String>, usize) {
    let mut violations = Vec::new();
    let mut windows: BTreeMap<Scope<'_>, BTreeMap<i64, Window>> = BTreeMap::new();
    for call in calls {
        let Outcome::Taken { job_id, generation, replayed, window_end_us } = &call.outcome else { continue };
        let of_key = windows.entry((&call.tenant, &call.key)).or_default();
        let window = of_key.entry(*generation).or_insert_with(|| Window {
            payload: call.payload,
            job_id: job_id.clone(),
            opens_us: window_end_us - window_us,
            ends_us: *window_end_us,
            opened: 0,
        });
        window.opened += usize::from(!replayed);
        if window.job_id != *job_id || window.ends_us != *window_end_us {
            violations.push(format!("two jobs: {call:?} beside job {}", window.job_id));
        }
        if window.payload != call.payload {
            violations.push(format!("missed conflict: {call:?} is job {job_id} of payload {}", window.payload));
        }
        // The call that opens a window is under way when it opens; one that finds it open is so before it ends.
        let plausible = match replayed {
            false => call.sent_us <= window.opens_us && window.opens_us <= call.answered_us,
            true => call.sent_us < window.ends_us && window.opens_us <= call.answered_us,
        };
        if !plausible {
            violations.push(format!("wrong window: {call:?} in {}..{}", window.opens_us, window.ends_us));
        }
    }
    for (scope, of_key) in &windows {
        violations.extend(windows_follow(*scope, of_key));
    }
    violations.extend(jobs_are_distinct(&windows));
    for call in calls {
        match &call.outcome {
            Outcome::Taken { .. } => {}
            Outcome::Other(other) => violations.push(format!("neither taken nor a conflict: {call:?}: {other}")),
            Outcome::Conflict => {
                let mut of_key = windows.get(&(call.tenant.as_str(), call.key.as_str())).into_iter().flatten();
                let explained = of_key.any(|(_, window)| {
                    window.payload != call.payload
                        && window.opens_us <= call.answered_us
                        && call.sent_us < window.ends_us
                });
                if !explained {
                    violations.push(format!("groundless conflict: {call:?}"));
                }
            }
        }
    }
    (violations, windows.values().map(BTreeMap::len).sum())
}

/// Windows are numbered from 1, begin after the one before has ended, and are each opened by one call.
fn windows_follow(scope: Scope<'_>, of_key: &BTreeMap<i64, Window>) -> Vec<String> {
    let mut violations = Vec::new();
    if !of_key.keys().copied().eq(1..=of_key.len() as i64) {
        violations.push(format!("generations of {scope:?} are {:?}", of_key.keys()));
    }
    let windows: Vec<&Window> = of_key.values().collect();
    for pair in windows.windows(2) {
        if pair[1].opens_us < pair[0].ends_us {
            violations.push(format!("renewed too early: {scope:?}, {:?} before the end of {:?}", pair[1], pair[0]));
        }
    }
    for (generation, window) in of_key.iter().filter(|(_, window)| window.opened != 1) {
        violations.push(format!("{scope:?} generation {generation} was opened by {} calls", window.opened));
    }
    violations
}

/// No job stands for two windows, whether of one key, of two, or of equal keys in two tenants.
fn jobs_are_distinct(windows: &BTreeMap<Scope<'_>, BTreeMap<i64, Window>>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let jobs = windows.iter().flat_map(|(scope, of_key)| of_key.values().map(move |window| (scope, &window.job_id)));
    jobs.filter(|(_, job_id)| !seen.insert(*job_id))
        .map(|(scope, job)| format!("shared: {scope:?} has job {job}"))
        .collect()
}

/// The job of each (tenant, key, generation), for a look at the tables.
pub fn jobs_told(calls: &[Call]) -> BTreeMap<(String, String, i64), String> {
    let told = calls.iter().filter_map(|call| match &call.outcome {
        Outcome::Taken { job_id, generation, .. } => {
            Some(((call.tenant.clone(), call.key.clone(), *generation), job_id.clone()))
        }
        Outcome::Conflict | Outcome::Other(_) => None,
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(payload: u8, at: (i64, i64), job: &str, generation: i64, replayed: bool, ends: i64) -> Call {
        let outcome = Outcome::Taken { job_id: job.into(), generation, replayed, window_end_us: ends };
        Call { tenant: "t".into(), key: "k".into(), payload, sent_us: at.0, answered_us: at.1, outcome }
    }

    fn conflict(payload: u8, at: (i64, i64)) -> Call {
        Call { outcome: Outcome::Conflict, ..taken(payload, at, "", 0, false, 0) }
    }

    fn found(calls: &[Call]) -> usize {
        check(calls, 100).0.len()
    }

    #[test]
    fn two_windows_with_a_replay_and_a_conflict_pass() {
        let calls = [
            taken(1, (0, 5), "a", 1, false, 102),
            taken(1, (6, 8), "a", 1, true, 102),
            conflict(2, (50, 60)),
            taken(2, (101, 105), "b", 2, false, 203),
        ];
        assert_eq!(check(&calls, 100), (vec![], 2));
    }

    #[test]
    fn every_wrong_answer_is_found() {
        let first = taken(1, (0, 5), "a", 1, false, 102);
        assert!(found(&[first.clone(), taken(1, (6, 8), "b", 1, true, 102)]) > 0, "a second job");
        assert!(found(&[first.clone(), taken(2, (6, 8), "a", 1, true, 102)]) > 0, "a conflict not seen");
        assert!(found(&[first.clone(), taken(1, (0, 5), "a", 1, false, 102)]) > 0, "opened twice");
        assert!(found(&[first.clone(), taken(1, (110, 120), "a", 1, true, 102)]) > 0, "replayed after its end");
        assert!(found(&[first.clone(), taken(1, (50, 60), "b", 2, false, 155)]) > 0, "renewed early");
        assert!(found(&[first.clone(), taken(1, (110, 120), "b", 3, false, 215)]) > 0, "a generation left out");
        assert!(found(&[first.clone(), conflict(1, (6, 8))]) > 0, "a conflict with itself");
        assert!(found(&[first.clone(), conflict(2, (110, 120))]) > 0, "a conflict after the end");
        let other_tenant = Call { tenant: "u".into(), ..first.clone() };
        assert!(found(&[first, other_tenant]) > 0, "a job of two tenants");
    }
}
