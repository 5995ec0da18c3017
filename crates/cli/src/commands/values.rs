//! Names of the contract as values of flags.

use clap::ValueEnum;
use holdfast_caller::Tier;
use holdfast_client::{Classification, Queue, Residency, RiskTier};

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

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ClassificationArg {
    Public,
    Internal,
    /// Personal data, and whatever else others must not read.
    Sensitive,
}

impl From<ClassificationArg> for Classification {
    fn from(classification: ClassificationArg) -> Self {
        match classification {
            ClassificationArg::Public => Self::Public,
            ClassificationArg::Internal => Self::Internal,
            ClassificationArg::Sensitive => Self::Sensitive,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ResidencyArg {
    #[value(name = "US", alias = "us")]
    Us,
    #[value(name = "EU", alias = "eu")]
    Eu,
    /// Anywhere.
    Global,
}

impl From<ResidencyArg> for Residency {
    fn from(residency: ResidencyArg) -> Self {
        match residency {
            ResidencyArg::Us => Self::Us,
            ResidencyArg::Eu => Self::Eu,
            ResidencyArg::Global => Self::Global,
        }
    }
}
