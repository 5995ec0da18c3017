//! What is fixed for a reason, read from the generated catalogue.

use holdfast_proto::errors::{catalogue::CATALOGUE, v1::Reason};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    pub wire_name: &'static str,
    pub code: tonic::Code,
    pub retryable: bool,
}

/// An unspecified reason has the traits of a defect: whoever let it out has one.
pub fn traits(reason: Reason) -> Traits {
    let row = CATALOGUE.iter().find(|row| row.0 == reason);
    match row {
        Some(&(_, wire_name, grpc_code, retryable)) => {
            Traits { wire_name, code: tonic::Code::from_i32(grpc_code), retryable }
        }
        None => traits(Reason::Internal500Unexpected),
    }
}

pub fn reason_by_wire_name(wire_name: &str) -> Option<Reason> {
    CATALOGUE.iter().find(|row| row.1 == wire_name).map(|row| row.0)
}
