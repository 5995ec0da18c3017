//! First come, first served: whoever was seen to wait before another one called is granted first.

/// One that asked for a resource once and was granted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    pub owner: String,
    pub sent_us: i64,
    /// When somebody had first seen it wait.
    pub seen_waiting_us: Option<i64>,
    /// Grants happen in the order of tokens.
    pub fence: u64,
    /// It stood in the queue until its grant: it was never away from a live instance for so long that it lost its place.
    pub stayed: bool,
}

/// Every pair that was served the wrong way round, as one line each.
pub fn inversions(served: &[Served]) -> Vec<String> {
    let mut by_token: Vec<&Served> = served.iter().collect();
    by_token.sort_unstable_by_key(|served| served.fence);
    let mut violations = Vec::new();
    for (place, earlier) in by_token.iter().enumerate() {
        for later in by_token[place..].iter().filter(|later| later.stayed) {
            if let Some(seen_us) = later.seen_waiting_us.filter(|seen_us| *seen_us < earlier.sent_us) {
                violations.push(format!(
                    "inversion: {} was seen to wait at {seen_us} us, {} called at {} us, and was granted token {} before {}",
                    later.owner, earlier.owner, earlier.sent_us, earlier.fence, later.fence
                ));
            }
        }
    }
    violations
}

/// How many pairs the check had something to say about.
pub fn ordered_pairs(served: &[Served]) -> usize {
    let seen = served.iter().filter(|served| served.stayed).filter_map(|served| served.seen_waiting_us);
    seen.map(|seen_us| served.iter().filter(|other| seen_us < other.sent_us).count()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(owner: &str, sent_us: i64, seen_waiting_us: Option<i64>, fence: u64) -> Served {
        Served { owner: owner.into(), sent_us, seen_waiting_us, fence, stayed: true }
    }

    #[test]
    fn only_who_was_seen_before_the_others_call_has_to_be_first() {
        let queue = [served("a", 0, Some(10), 1), served("b", 20, Some(30), 2), served("c", 40, None, 3)];
        assert_eq!(inversions(&queue), [""; 0]);
        assert_eq!(ordered_pairs(&queue), 3);
        let overtaken = [served("a", 0, Some(10), 2), served("b", 20, Some(30), 1), served("c", 40, None, 3)];
        assert_eq!(inversions(&overtaken).len(), 1);
        let at_once = [served("a", 0, Some(30), 2), served("b", 20, Some(30), 1)];
        assert_eq!(inversions(&at_once), [""; 0], "neither was first");
        let unseen = [served("a", 0, None, 2), served("b", 20, Some(30), 1)];
        assert_eq!(inversions(&unseen), [""; 0]);
        let mut left = overtaken;
        left[0].stayed = false;
        assert_eq!(inversions(&left), [""; 0], "it gave up its place");
    }
}
