//! Linearizability of one resource: whether its answers can be put into one order that keeps to real time and in which a
//! lock that works, [`State`], would have given them.
//!
//! The search is Lowe's just-in-time linearization ("Testing for linearizability", 2017): going through calls and answers
//! as they came, it keeps every configuration that the history so far allows, a state and the open calls that have taken
//! effect in it. At an answer, open calls take effect in every order until the answered one has; configurations in which it
//! cannot are dropped. Where none is left, the answer is one that no lock gives. Equal configurations are met once, which
//! makes it fit for histories of thousands of calls; calls that were never answered stay open to the end, and may take
//! effect at any time or never. The tester of `stateright` takes neither: it remembers no configuration, so that a history
//! that is not linearizable takes it exponential time, and it asks the model for the one result of a call that has no answer.
//!
//! The model gives up a lease by itself only after its last acknowledged stale_at, by the database's clock as the answers
//! tell it: the next grant's own time has to be past it. One that gave leases up at will would explain every double grant.
//! Whether the database's clock was told truly is checked by [`implausible`].
//!
//! Acquisitions that were never answered, and whose lease nobody saw, are left out: their effects make no answer possible
//! that is not possible without them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::history::{CLOCKS_DIFFER_US, Call, Grant, NEVER, SeenHolder, Told, grants};

/// Beyond this the history is not decided, which counts as a violation.
const CONFIGURATIONS_MAX: usize = 500_000;

type LeaseNumber = u32;

/// A lock as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct State {
    fence: u64,
    holder: Option<Held>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Held {
    lease: LeaseNumber,
    /// When it is stale at the earliest and at the latest: they differ once it was renewed by a call without an answer.
    stale_from_us: i64,
    stale_until_us: i64,
    /// Its holder was told that it is over. It is seen to hold the resource until that is given up or granted anew.
    is_over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Grant {
        lease: LeaseNumber,
        fence: u64,
        granted_us: i64,
        stale_us: i64,
    },
    Renew {
        lease: LeaseNumber,
        renewed_us: i64,
        stale_us: i64,
    },
    RenewSometime {
        lease: LeaseNumber,
        not_before_us: i64,
        stale_after_us: i64,
    },
    Release {
        lease: LeaseNumber,
    },
    /// The service's own release of a grant that it could not tell anybody of.
    Withdraw {
        lease: LeaseNumber,
        fence: u64,
    },
    IsOver {
        lease: LeaseNumber,
        by_us: i64,
    },
    SeeFree {
        highest: u64,
        by_us: i64,
    },
    SeeHeld {
        lease: LeaseNumber,
        fence: u64,
        highest: u64,
        stale_us: i64,
    },
}

impl State {
    /// What becomes of it, or nothing where a lock in this state does not give this answer.
    fn after(self, effect: Effect) -> Option<Self> {
        let has = |lease| self.holder.filter(|held| held.lease == lease);
        let holds = |lease| has(lease).filter(|held| !held.is_over);
        match effect {
            Effect::Grant { lease, fence, granted_us, stale_us } => {
                let is_free = self.is_free_at(granted_us);
                let held = Held { lease, stale_from_us: stale_us, stale_until_us: stale_us, is_over: false };
                (is_free && fence > self.fence).then_some(Self { fence, holder: Some(held) })
            }
            Effect::Renew { lease, renewed_us, stale_us } => {
                let held = holds(lease).filter(|held| renewed_us < held.stale_until_us)?;
                Some(self.held(Held {
                    stale_from_us: held.stale_from_us.max(stale_us),
                    stale_until_us: held.stale_until_us.max(stale_us),
                    ..held
                }))
            }
            Effect::RenewSometime { lease, not_before_us, stale_after_us } => {
                let held = holds(lease)?;
                Some(self.held(Held {
                    stale_from_us: held.stale_from_us.max(not_before_us.saturating_add(stale_after_us)),
                    stale_until_us: held.stale_until_us.saturating_add(stale_after_us),
                    ..held
                }))
            }
            Effect::Release { lease } | Effect::Withdraw { lease, .. } => holds(lease).map(|_| self.free()),
            Effect::IsOver { lease, by_us } => match has(lease) {
                Some(held) => (held.stale_from_us <= by_us).then(|| self.held(Held { is_over: true, ..held })),
                None => Some(self),
            },
            Effect::SeeFree { highest, by_us } => {
                (self.is_free_at(by_us) && highest >= self.fence).then_some(Self { fence: highest, holder: None })
            }
            Effect::SeeHeld { lease, fence, highest, stale_us } => {
                let held = has(lease).filter(|held| held.stale_from_us <= stale_us)?;
                (fence == self.fence && highest == fence).then_some(self.held(held))
            }
        }
    }

    /// Whether nobody holds it, or only a lease that may be stale by then.
    fn is_free_at(self, at_us: i64) -> bool {
        self.holder.is_none_or(|held| held.stale_from_us <= at_us)
    }

    fn held(self, held: Held) -> Self {
        Self { holder: Some(held), ..self }
    }

    fn free(self) -> Self {
        Self { holder: None, ..self }
    }

    /// Whether a call without an answer can still do something in it, now or later.
    fn is_past(self, effect: Effect) -> bool {
        match effect {
            Effect::Grant { fence, .. } => fence <= self.fence,
            Effect::Withdraw { lease, fence } => {
                fence <= self.fence && self.holder.is_none_or(|held| held.lease != lease)
            }
            // Whoever renews or releases a lease was told of its grant: one that does not hold it now never will again.
            Effect::RenewSometime { lease, .. } | Effect::Release { lease } => {
                self.holder.is_none_or(|held| held.lease != lease)
            }
            _ => false,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Step {
    sent_us: i64,
    answered_us: i64,
    effect: Effect,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Configuration {
    state: State,
    /// Open calls that have taken effect, in ascending order.
    done: Vec<usize>,
}

/// What no lock would have answered; at most one violation a resource, since what follows it has no meaning.
pub fn check(resource: &str, calls: &[Call]) -> Option<String> {
    let (steps, leases) = steps(calls);
    let refuted = refute(&steps)?;
    let step = refuted.step;
    let what = describe(step.effect, &leases);
    let states: Vec<String> = refuted.before.iter().map(|state| describe_state(*state, &leases)).collect();
    let label = refuted.label();
    Some(format!(
        "{label}: {resource}: {what}, called at {} and answered at {} us, after {}",
        step.sent_us,
        step.answered_us,
        states.join(" or ")
    ))
}

struct Refuted {
    step: Step,
    /// States in which the answer was not possible.
    before: Vec<State>,
    is_undecided: bool,
}

impl Refuted {
    fn label(&self) -> &'static str {
        if self.is_undecided {
            return "undecided";
        }
        match self.step.effect {
            Effect::Grant { granted_us, .. } if self.before.iter().all(|state| state.is_free_at(granted_us)) => {
                "token went back"
            }
            Effect::Grant { .. } => "double grant",
            Effect::Renew { .. } | Effect::RenewSometime { .. } => "renewed without a lease",
            Effect::Release { .. } | Effect::Withdraw { .. } => "released without a lease",
            Effect::IsOver { .. } => "lost too early",
            Effect::SeeFree { .. } | Effect::SeeHeld { .. } => "seen wrong",
        }
    }
}

fn refute(steps: &[Step]) -> Option<Refuted> {
    // Calls before answers where both happen in the same microsecond: neither was first.
    let calls = steps.iter().enumerate().map(|(index, step)| (step.sent_us, false, index));
    let answers = steps.iter().enumerate().map(|(index, step)| (step.answered_us, true, index));
    let mut moments: Vec<(i64, bool, usize)> = calls.chain(answers.filter(|(at, ..)| *at != NEVER)).collect();
    moments.sort_unstable();
    let mut open: BTreeSet<usize> = BTreeSet::new();
    let mut configurations = HashSet::from([Configuration::default()]);
    for (_, is_answer, index) in moments {
        if !is_answer {
            open.insert(index);
            continue;
        }
        let before = configurations.clone();
        match linearize(configurations, &open, index, steps) {
            Some(after) if !after.is_empty() => configurations = after,
            outcome => {
                let states: HashSet<State> = before.into_iter().map(|configuration| configuration.state).collect();
                let before = states.into_iter().take(5).collect();
                return Some(Refuted { step: steps[index], before, is_undecided: outcome.is_none() });
            }
        }
        open.remove(&index);
        let is_past = |index: usize| {
            let step = steps[index];
            step.answered_us == NEVER && configurations.iter().all(|after| after.state.is_past(step.effect))
        };
        open.retain(|index| !is_past(*index));
    }
    None
}

/// The configurations in which call `answered` has taken effect, as the last of open calls that had to before it. Nothing
/// where there are too many to look at.
fn linearize(
    configurations: HashSet<Configuration>,
    open: &BTreeSet<usize>,
    answered: usize,
    steps: &[Step],
) -> Option<HashSet<Configuration>> {
    let mut met = configurations.clone();
    let mut left: Vec<Configuration> = configurations.into_iter().collect();
    let mut after = HashSet::new();
    while let Some(configuration) = left.pop() {
        if configuration.done.contains(&answered) {
            let Configuration { state, mut done } = configuration;
            // What has an effect no more needs no remembering: configurations that differ in nothing else become one.
            done.retain(|index| {
                *index != answered && !(steps[*index].answered_us == NEVER && state.is_past(steps[*index].effect))
            });
            after.insert(Configuration { state, done });
            continue;
        }
        for index in open.iter().copied().filter(|index| !configuration.done.contains(index)) {
            let Some(state) = configuration.state.after(steps[index].effect) else { continue };
            let mut done = configuration.done.clone();
            let place = done.partition_point(|other| *other < index);
            done.insert(place, index);
            let next = Configuration { state, done };
            if met.insert(next.clone()) {
                left.push(next);
            }
        }
        if met.len() > CONFIGURATIONS_MAX {
            return None;
        }
    }
    Some(after)
}

/// Calls as the search takes them, and the ids of leases by their numbers.
fn steps(calls: &[Call]) -> (Vec<Step>, Vec<String>) {
    let mut leases = Leases::default();
    let mut steps: Vec<Step> = calls.iter().filter_map(|call| leases.step(call)).collect();
    for (sent_us, grant) in seen_grants(calls) {
        let granted = leases.grant(grant);
        let withdrawn = Effect::Withdraw { lease: leases.number(&grant.lease_id), fence: grant.fence };
        steps.extend([granted, withdrawn].map(|effect| Step { sent_us, answered_us: NEVER, effect }));
    }
    (steps, leases.ids)
}

/// Grants that their client never heard of, as somebody else saw them; with when they were asked for.
fn seen_grants(calls: &[Call]) -> impl Iterator<Item = (i64, &Grant)> {
    let heard = grants(calls);
    let unheard: BTreeMap<&str, i64> = calls
        .iter()
        .filter_map(|call| match &call.told {
            Told::AcquireUnheard { owner } => Some((owner.as_str(), call.sent_us)),
            _ => None,
        })
        .collect();
    let seen = calls.iter().filter_map(|call| match &call.told {
        Told::Seen { holder: Some(SeenHolder { owner, grant }), .. } => Some((owner.as_str(), grant)),
        _ => None,
    });
    // A client that never heard of its lease never renews it: every look at it tells the same.
    let seen: BTreeMap<&str, (&str, &Grant)> = seen
        .filter(|(_, grant)| !heard.contains_key(grant.lease_id.as_str()))
        .map(|(owner, grant)| (grant.lease_id.as_str(), (owner, grant)))
        .collect();
    seen.into_values().filter_map(move |(owner, grant)| Some((*unheard.get(owner)?, grant)))
}

#[derive(Default)]
struct Leases {
    ids: Vec<String>,
    numbers: BTreeMap<String, LeaseNumber>,
}

impl Leases {
    fn number(&mut self, lease_id: &str) -> LeaseNumber {
        if let Some(number) = self.numbers.get(lease_id) {
            return *number;
        }
        let number = self.ids.len() as LeaseNumber;
        self.ids.push(lease_id.to_owned());
        self.numbers.insert(lease_id.to_owned(), number);
        number
    }

    fn grant(&mut self, grant: &Grant) -> Effect {
        let lease = self.number(&grant.lease_id);
        Effect::Grant { lease, fence: grant.fence, granted_us: grant.granted_us, stale_us: grant.stale_us }
    }

    fn step(&mut self, call: &Call) -> Option<Step> {
        let by_us = call.answered_us.saturating_add(CLOCKS_DIFFER_US);
        // What the database stamped happened after that.
        let mut sent_us = call.sent_us;
        let effect = match &call.told {
            Told::AcquireUnheard { .. } => return None,
            Told::Granted(grant) => {
                sent_us = sent_us.max(grant.granted_us - CLOCKS_DIFFER_US).min(call.answered_us);
                self.grant(grant)
            }
            Told::Renewed { lease_id, renewed_us, stale_us } => {
                Effect::Renew { lease: self.number(lease_id), renewed_us: *renewed_us, stale_us: *stale_us }
            }
            Told::RenewUnheard { lease_id, stale_after_us } => Effect::RenewSometime {
                lease: self.number(lease_id),
                not_before_us: call.sent_us - CLOCKS_DIFFER_US,
                stale_after_us: *stale_after_us,
            },
            Told::Released { lease_id } | Told::ReleaseUnheard { lease_id } => {
                Effect::Release { lease: self.number(lease_id) }
            }
            Told::Over { lease_id } => Effect::IsOver { lease: self.number(lease_id), by_us },
            Told::Seen { holder: None, highest } => Effect::SeeFree { highest: *highest, by_us },
            Told::Seen { holder: Some(SeenHolder { grant, .. }), highest } => Effect::SeeHeld {
                lease: self.number(&grant.lease_id),
                fence: grant.fence,
                highest: *highest,
                stale_us: grant.stale_us,
            },
        };
        Some(Step { sent_us, answered_us: call.answered_us, effect })
    }
}

/// Answers whose times by the database's clock do not lie between call and answer: a service that stamps a grant with
/// another time than that at which it grants would deceive the model.
pub fn implausible(resource: &str, calls: &[Call]) -> Vec<String> {
    let stamped = calls.iter().filter_map(|call| match &call.told {
        Told::Granted(grant) => Some((call, grant.granted_us)),
        Told::Renewed { renewed_us, .. } => Some((call, *renewed_us)),
        _ => None,
    });
    let outside = stamped.filter(|(call, at_us)| {
        *at_us < call.sent_us - CLOCKS_DIFFER_US || *at_us > call.answered_us.saturating_add(CLOCKS_DIFFER_US)
    });
    outside.map(|(call, at_us)| format!("wrong time: {resource}: {at_us} us is not within {call:?}")).collect()
}

fn describe(effect: Effect, leases: &[String]) -> String {
    let name = |lease| lease_name(lease, leases);
    match effect {
        Effect::Grant { lease, fence, granted_us, stale_us } => {
            format!("grant of {} with token {fence} at {granted_us}, stale at {stale_us} us", name(lease))
        }
        Effect::Renew { lease, renewed_us, stale_us } => {
            format!("renewal of {} at {renewed_us}, stale at {stale_us} us", name(lease))
        }
        Effect::RenewSometime { lease, .. } => format!("renewal of {}", name(lease)),
        Effect::Release { lease } | Effect::Withdraw { lease, .. } => format!("release of {}", name(lease)),
        Effect::IsOver { lease, .. } => format!("answer that {} is over", name(lease)),
        Effect::SeeFree { highest, .. } => format!("look that sees it free after token {highest}"),
        Effect::SeeHeld { lease, fence, highest, stale_us } => format!(
            "look that sees {} hold it with token {fence} of {highest} until stale at {stale_us} us",
            name(lease)
        ),
    }
}

fn describe_state(state: State, leases: &[String]) -> String {
    let State { fence, holder } = state;
    match holder {
        None => format!("free after token {fence}"),
        Some(Held { lease, stale_from_us, .. }) => {
            format!("held by {} with token {fence} until stale at {stale_from_us} us", lease_name(lease, leases))
        }
    }
}

fn lease_name(lease: LeaseNumber, leases: &[String]) -> &str {
    leases.get(lease as usize).map_or("an unknown lease", String::as_str)
}

#[cfg(test)]
#[path = "linear_tests.rs"]
mod tests;
