//! Names of the contract as values of flags.

use clap::ValueEnum;
use holdfast_caller::Tier;
use holdfast_client::{Queue, RiskTier};

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum QueueArg {
    /// The queue of the job's project.
    Project,
    /// The tenant's queue for changes to infrastructure.
    Infra,
}

impl From<QueueArg> for Queue {
    fn from(queue: QueueArg) -> Self {
        match queue {
            QueueArg::Project => Self::Project,
            QueueArg::Infra => Self::Infra,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum TierArg {
    #[value(name = "A", alias = "a")]
    A,
    #[value(name = "B", alias = "b")]
    B,
    #[value(name = "C", alias = "c")]
    C,
}

impl From<TierArg> for RiskTier {
    fn from(tier: TierArg) -> Self {
        match tier {
            TierArg::A => Self::A,
            TierArg::B => Self::B,
            TierArg::C => Self::C,
        }
    }
}

impl From<TierArg> for Tier {
    fn from(tier: TierArg) -> Self {
        match tier {
            TierArg::A => Self::A,
            TierArg::B => Self::B,
            TierArg::C => Self::C,
        }
    }
}
