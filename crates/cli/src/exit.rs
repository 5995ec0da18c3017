//! How a command ends: one code a kind of failure, so that a script can branch without reading text.

use std::process::ExitCode;

use serde_json::json;
use tonic::Code;

use crate::{connection::CallError, output::Format};

pub(crate) const HELP: &str = "Exit codes: 0 ok, 1 failure, 2 usage or invalid input, 3 not found, 4 refused \
(token, role or scope), 5 conflict with the present state, 6 unavailable: try again later";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Ok = 0,
    Failure = 1,
    Usage = 2,
    NotFound = 3,
    Refused = 4,
    Conflict = 5,
    Unavailable = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The command was asked for something that cannot be; nothing was done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

impl Exit {
    pub(crate) fn of_code(code: Code) -> Self {
        match code {
            Code::Ok => Self::Ok,
            Code::InvalidArgument | Code::OutOfRange => Self::Usage,
            Code::NotFound => Self::NotFound,
            Code::PermissionDenied | Code::Unauthenticated => Self::Refused,
            Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted => Self::Conflict,
            Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted => Self::Unavailable,
            Code::Cancelled | Code::Unknown | Code::Unimplemented | Code::Internal | Code::DataLoss => Self::Failure,
        }
    }

    fn of_error(error: &anyhow::Error) -> Self {
        error
            .chain()
            .find_map(|cause| {
                if let Some(call) = cause.downcast_ref::<CallError>() {
                    return Some(call.exit());
                }
                cause.downcast_ref::<UsageError>().map(|_| Self::Usage)
            })
            .unwrap_or(Self::Failure)
    }
}

/// Says what went wrong on standard error, once, and answers the code to end with.
pub(crate) fn report(error: &anyhow::Error, format: Format) -> Exit {
    let call = error.chain().find_map(|cause| cause.downcast_ref::<CallError>());
    match format {
        Format::Json => {
            let details = call.map_or_else(|| json!({ "message": format!("{error:#}") }), CallError::to_json);
            eprintln!("{}", json!({ "error": details }));
        }
        Format::Table => {
            eprintln!("error: {error:#}");
            if let Some(call) = call {
                eprint!("{}", call.explanation());
            }
        }
    }
    Exit::of_error(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_code_under_context() {
        let error = anyhow::Error::new(UsageError("no such thing".into())).context("while asking");
        assert_eq!(Exit::of_error(&error), Exit::Usage);
        assert_eq!(Exit::of_error(&anyhow::anyhow!("anything")), Exit::Failure);
    }
}
