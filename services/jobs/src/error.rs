//! Refusals of the domain, as reasons of the catalogue.

use holdfast_fault::{Fault, Reason, Violation};

use crate::domain::labels::Unheld;
use crate::domain::payload_hash::JsonError;
use crate::domain::transition::Refusal;

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let reason = match refusal {
            Refusal::AlreadyTerminal => Reason::Job409AlreadyTerminal,
            Refusal::StaleFence => Reason::Job409StaleFence,
            Refusal::NotCancellable => Reason::Job422NotCancellable,
            Refusal::DecidedOtherwise => Reason::Approval409DecisionConflict,
            Refusal::NotWaiting
            | Refusal::DeferredTwice
            | Refusal::NotTheLatestDecision
            | Refusal::DecisionTookEffect
            | Refusal::TooManyDecisions => Reason::Req422InvalidState,
        };
        Self::new(reason, refusal.to_string())
    }
}

impl From<Unheld> for Fault {
    fn from(unheld: Unheld) -> Self {
        let field = unheld.field();
        let mut fault = Self::new(Reason::Policy403Denied, format!("{field}: {unheld}"));
        fault.violations.push(Violation::new(field, unheld.to_string()));
        fault
    }
}

/// Outside the caller's tenants and projects a job does not exist.
pub fn job_not_found() -> Fault {
    Fault::new(Reason::Job404NotFound, "no such job")
}

pub fn bad_json(field: &str, error: JsonError) -> Fault {
    Fault::invalid(field, error.to_string())
}
