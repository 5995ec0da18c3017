//! The journal and what is left in the tables, against what clients were told.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use sqlx::PgPool;

use super::history::{CLOCKS_DIFFER_US, Call, Told};

#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Entry {
    pub resource_key: String,
    pub lease_id: String,
    pub event_id: String,
    pub what: String,
    pub fence: i64,
    pub version: i64,
    pub occurred_at_us: i64,
}

/// Every entry, resource by resource, in the order of versions.
pub async fn read(admin: &PgPool) -> Result<Vec<Entry>> {
    let entries = sqlx::query_as(
        "SELECT resource_key, lease_id::text, event_id::text, what, fence, version,
             (extract(epoch FROM occurred_at) * 1000000)::bigint AS occurred_at_us
         FROM locks.locks ORDER BY tenant_id, project_id, class, resource_key, version",
    );
    Ok(entries.fetch_all(admin).await?)
}

/// Rows of leases: of one that holds, or of one that waits.
pub async fn left(admin: &PgPool) -> Result<Vec<(String, String)>> {
    Ok(sqlx::query_as("SELECT state, owner FROM locks.lock_leases ORDER BY state, owner").fetch_all(admin).await?)
}

/// From each release to the next grant of the resource, shortest first.
pub fn hand_overs_us(entries: &[Entry]) -> Vec<i64> {
    let pairs = entries.windows(2).filter_map(|pair| match pair {
        [ended, granted] if ended.what == "released" && granted.what == "granted" => {
            (ended.resource_key == granted.resource_key).then_some(granted.occurred_at_us - ended.occurred_at_us)
        }
        _ => None,
    });
    let mut hand_overs: Vec<i64> = pairs.collect();
    hand_overs.sort_unstable();
    hand_overs
}

/// Each resource is granted and given up by turns, under tokens that grow and versions without a gap; whatever a client was
/// told is written down, and a lease that ran out was stale by then.
pub fn check(entries: &[Entry], histories: &BTreeMap<String, Vec<Call>>) -> Vec<String> {
    let mut violations = Vec::new();
    let mut of_resource: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        of_resource.entry(&entry.resource_key).or_default().push(entry);
    }
    for (resource, entries) in &of_resource {
        violations.extend(take_turns(resource, entries));
    }
    for (resource, calls) in histories {
        let entries = of_resource.get(resource.as_str()).map_or(&[][..], Vec::as_slice);
        violations.extend(is_as_told(resource, entries, calls));
    }
    violations
}

fn take_turns(resource: &str, entries: &[&Entry]) -> Vec<String> {
    let mut violations = Vec::new();
    let mut holder: Option<&str> = None;
    let mut fence = 0;
    for (entry, version) in entries.iter().zip(1..) {
        if entry.version != version {
            violations.push(format!("journal: {resource}: version {version} is missing before {entry:?}"));
            break;
        }
        match (entry.what.as_str(), holder) {
            ("fence_rejected", _) => {}
            ("granted", None) if entry.fence > fence => (holder, fence) = (Some(entry.lease_id.as_str()), entry.fence),
            ("granted", None) => violations.push(format!("token went back: {resource}: {entry:?} after token {fence}")),
            ("granted", Some(other)) => {
                violations.push(format!("double grant: {resource}: {entry:?} while {other} held it"));
                (holder, fence) = (Some(entry.lease_id.as_str()), entry.fence);
            }
            (_, Some(held)) if held == entry.lease_id && entry.fence == fence => holder = None,
            (_, other) => violations.push(format!("journal: {resource}: {entry:?} while {other:?} held it")),
        }
    }
    violations
}

fn is_as_told(resource: &str, entries: &[&Entry], calls: &[Call]) -> Vec<String> {
    let mut violations = Vec::new();
    let written: BTreeSet<(&str, &str)> =
        entries.iter().map(|entry| (entry.lease_id.as_str(), entry.what.as_str())).collect();
    let mut stale_us: BTreeMap<&str, i64> = BTreeMap::new();
    for call in calls {
        let (lease_id, what, stale) = match &call.told {
            Told::Granted(grant) => (grant.lease_id.as_str(), "granted", Some(grant.stale_us)),
            Told::Renewed { lease_id, stale_us, .. } => (lease_id.as_str(), "granted", Some(*stale_us)),
            Told::Released { lease_id } => (lease_id.as_str(), "released", None),
            _ => continue,
        };
        if let Some(stale) = stale {
            let latest = stale_us.entry(lease_id).or_insert(stale);
            *latest = stale.max(*latest);
        }
        if !written.contains(&(lease_id, what)) {
            violations.push(format!("journal: {resource}: nothing says that {lease_id} was {what}, as was told"));
        }
    }
    for entry in entries.iter().filter(|entry| entry.what == "expired") {
        // The time of the statement may be taken a moment before that of its entry.
        let stale = stale_us.get(entry.lease_id.as_str()).copied().unwrap_or(0);
        if entry.occurred_at_us < stale - CLOCKS_DIFFER_US {
            violations.push(format!("expired too early: {resource}: {entry:?}, stale at {stale} us"));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locks::history::Grant;

    fn entry(lease: &str, what: &str, fence: i64, version: i64) -> Entry {
        let (resource_key, lease_id, what) = ("r".into(), lease.into(), what.into());
        Entry {
            resource_key,
            lease_id,
            event_id: String::new(),
            what,
            fence,
            version,
            occurred_at_us: version * 1_000_000,
        }
    }

    fn found(entries: &[Entry]) -> Vec<String> {
        check(entries, &BTreeMap::new())
    }

    #[test]
    fn turns_pass_and_what_is_out_of_turn_is_found() {
        let good = [
            entry("a", "granted", 3, 1),
            entry("x", "fence_rejected", 1, 2),
            entry("a", "released", 3, 3),
            entry("b", "granted", 7, 4),
        ];
        assert_eq!(found(&good), [""; 0]);
        assert!(found(&[good[0].clone(), entry("b", "granted", 4, 2)])[0].starts_with("double grant"));
        let back = [entry("a", "granted", 3, 1), entry("a", "expired", 3, 2), entry("b", "granted", 3, 3)];
        assert!(found(&back)[0].starts_with("token went back"));
        assert_eq!(found(&[entry("a", "granted", 3, 1), entry("a", "released", 3, 3)]).len(), 1, "a gap");
        assert_eq!(found(&[entry("a", "granted", 3, 1), entry("b", "released", 3, 2)]).len(), 1, "another's end");
    }

    #[test]
    fn what_was_told_is_looked_for() {
        let grant = Grant { lease_id: "a".into(), fence: 3, granted_us: 1_000_000, stale_us: 3_000_000 };
        let told = |told| Call { sent_us: 0, answered_us: 9, told };
        let histories = |calls: &[Call]| BTreeMap::from([("r".to_owned(), calls.to_vec())]);
        let granted = told(Told::Granted(grant));
        let released = told(Told::Released { lease_id: "a".into() });
        let entries = [entry("a", "granted", 3, 1), entry("a", "released", 3, 2)];
        assert_eq!(check(&entries, &histories(&[granted.clone(), released.clone()])), [""; 0]);
        assert_eq!(check(&entries[..1], &histories(&[granted.clone(), released])).len(), 1);
        assert_eq!(check(&[], &histories(std::slice::from_ref(&granted))).len(), 1);
        let early = [entry("a", "granted", 3, 1), entry("a", "expired", 3, 2)];
        assert_eq!(check(&early, &histories(&[granted])).len(), 1);
    }
}
