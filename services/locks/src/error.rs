//! Refusals, as reasons of the catalogue.

use holdfast_fault::{Fault, Reason};

use crate::domain::order::Order;
use crate::domain::resource::Resource;

/// Outside the caller's tenants and projects a lease does not exist.
pub fn no_such_lease() -> Fault {
    Fault::new(Reason::Lock404NotFound, "there is no such lease")
}

pub fn no_such_class(field: &str) -> Fault {
    Fault::new(Reason::Lock404NotFound, format!("{field}: there is no such class"))
}

/// `ended`: how, where the journal knows.
pub fn lease_over(ended: Option<&str>) -> Fault {
    let fault = Fault::new(Reason::Lock409StaleFence, "the lease is over");
    match ended {
        Some(ended) => fault.with("ended", ended),
        None => fault,
    }
}

pub fn renewals_exhausted(renewals_max: i32) -> Fault {
    Fault::new(
        Reason::Lock409RenewalsExhausted,
        format!("the lease was renewed {renewals_max} times, as often as it may be"),
    )
    .with("renewals_max", renewals_max.to_string())
}

pub fn held(resource: &Resource) -> Fault {
    Fault::new(Reason::Job409Locked, format!("{resource} is held, or waited for, by somebody else"))
        .with("cause", "held")
        .with("resource", resource.to_string())
}

pub fn waited_in_vain(resource: &Resource) -> Fault {
    Fault::new(Reason::Job409Locked, format!("{resource} was not free in time"))
        .with("cause", "waited")
        .with("resource", resource.to_string())
}

pub fn out_of_order(order: &Order, after: &Resource) -> Fault {
    Fault::new(Reason::Job409Locked, "the request breaks the order in which its owner takes resources")
        .with("cause", "order")
        .with("order", order.names())
        .with("after", after.to_string())
}

pub fn key_conflict() -> Fault {
    Fault::new(Reason::Job409IdempotencyConflict, "the idempotency key stands for another request")
}

/// A later call under the same key goes on in its place.
pub fn superseded() -> Fault {
    Fault::new(Reason::Job409Locked, "a later call under the same idempotency key waits in this one's place")
        .with("cause", "superseded")
}

pub fn token_expired() -> Fault {
    Fault::new(Reason::Auth401InvalidToken, "the token has expired; connect again with a new one")
        .with("cause", "token_expired")
}

pub fn draining() -> Fault {
    Fault::new(Reason::Infra503Draining, "this instance is shutting down; the same request keeps its place on another")
}
