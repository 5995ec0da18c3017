//! What a job waits for before it may run. It can only name jobs that are there already, so dependencies cannot form a circle;
//! within a batch, whose items may name each other, [`order`] finds those that do.

use holdfast_ids::JobId;

use super::job::StateName;

/// Dependencies of one job.
pub const DEPENDENCIES_MAX: usize = 100;

named! {
    /// What becomes of the dependent where the other job ends otherwise than done.
    OnFailure {
        /// It stays blocked, until the other is done anew (resubmitted), or it is cancelled itself.
        Block = "block",
        /// It is cancelled too.
        Cancel = "cancel",
        /// It runs all the same.
        Run = "run",
    }
}

/// A job that another one waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dependency {
    pub job_id: JobId,
    pub on_failure: OnFailure,
}

/// What a dependency means for the dependent, as the other job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The other job goes on, or has failed and has to be done anew.
    Blocks,
    Cancels,
    Clears,
}

impl Dependency {
    /// Whether there is nothing left to wait for, whatever happens.
    pub fn clears(&self, state: Option<StateName>) -> bool {
        self.on_failure.effect(state) == Effect::Clears
    }
}

impl OnFailure {
    /// `state` is None for a job that is not kept any more: it has ended, and nobody knows how.
    pub fn effect(self, state: Option<StateName>) -> Effect {
        match (state, self) {
            (Some(StateName::Done), _) => Effect::Clears,
            (Some(state), _) if !state.is_final() => Effect::Blocks,
            (_, Self::Block) => Effect::Blocks,
            (_, Self::Cancel) => Effect::Cancels,
            (_, Self::Run) => Effect::Clears,
        }
    }
}

/// What all of a blocked job's dependencies together mean for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    StaysBlocked,
    /// By this one.
    Cancelled(JobId),
    Free,
}

/// One that cancels decides, whatever the others do: there is nothing left to wait for.
pub fn settle(effects: impl IntoIterator<Item = (JobId, Effect)>) -> Settled {
    effects.into_iter().fold(Settled::Free, |settled, (job_id, effect)| match (settled, effect) {
        (Settled::Cancelled(by), _) => Settled::Cancelled(by),
        (_, Effect::Cancels) => Settled::Cancelled(job_id),
        (_, Effect::Blocks) => Settled::StaysBlocked,
        (settled, Effect::Clears) => settled,
    })
}

/// The items of a batch in an order in which each comes after those it names, by rounds: what is in one round can be done side
/// by side. What is on a circle, or behind one, is in none.
pub fn order(named: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut waits_for: Vec<usize> = named.iter().map(Vec::len).collect();
    let mut named_by: Vec<Vec<usize>> = vec![Vec::new(); named.len()];
    for (item, others) in named.iter().enumerate() {
        others.iter().for_each(|other| named_by[*other].push(item));
    }
    let mut rounds = Vec::new();
    let mut free: Vec<usize> = (0..named.len()).filter(|item| waits_for[*item] == 0).collect();
    while !free.is_empty() {
        let mut next = Vec::new();
        for item in free.iter().flat_map(|item| &named_by[*item]) {
            waits_for[*item] -= 1;
            if waits_for[*item] == 0 {
                next.push(*item);
            }
        }
        rounds.push(std::mem::replace(&mut free, next));
    }
    rounds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(number: u128) -> JobId {
        JobId::from_uuid(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn what_a_state_means_depends_on_what_was_asked_for() {
        use Effect::{Blocks, Cancels, Clears};
        for state in StateName::ALL.iter().copied() {
            let effects = [OnFailure::Block, OnFailure::Cancel, OnFailure::Run].map(|on| on.effect(Some(state)));
            let expected = match state {
                StateName::Done => [Clears, Clears, Clears],
                state if state.is_final() => [Blocks, Cancels, Clears],
                _ => [Blocks, Blocks, Blocks],
            };
            assert_eq!(effects, expected, "{state:?}");
        }
    }

    #[test]
    fn one_that_cancels_decides_and_one_that_blocks_is_enough() {
        use Effect::{Blocks, Cancels, Clears};
        let settled =
            |effects: &[Effect]| settle(effects.iter().enumerate().map(|(n, effect)| (job(n as u128), *effect)));
        assert_eq!(settled(&[]), Settled::Free);
        assert_eq!(settled(&[Clears, Clears]), Settled::Free);
        assert_eq!(settled(&[Clears, Blocks, Clears]), Settled::StaysBlocked);
        assert_eq!(settled(&[Blocks, Cancels, Clears, Cancels]), Settled::Cancelled(job(1)));
        assert_eq!(settled(&[Cancels, Blocks]), Settled::Cancelled(job(0)));
    }

    #[test]
    fn rounds_come_after_what_they_name_and_circles_never_come() {
        assert_eq!(order(&[]), Vec::<Vec<usize>>::new());
        // A diamond, written backwards.
        assert_eq!(order(&[vec![1, 2], vec![3], vec![3], vec![]]), [vec![3], vec![1, 2], vec![0]]);
        assert_eq!(order(&[vec![0]]), Vec::<Vec<usize>>::new());
        // 0 and 1 name each other, 2 stands behind them, 3 alone.
        assert_eq!(order(&[vec![1], vec![0], vec![1], vec![]]), [vec![3]]);
    }
}
