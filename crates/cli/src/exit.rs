//! How a command ends: one code a kind of failure, so that a script can branch without reading text.

use std::process::ExitCode;

use holdfast_client::{Code, Error, ErrorKind, LockLoss};
use serde_json::{Value, json};

use crate::output::Format;

pub(crate) const HELP: &str = "Exit codes: 0 ok, 1 failure, 2 usage or invalid input, 3 not found, 4 refused \
(token, role or scope), 5 conflict with the present state, 6 unavailable: try again later";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Ok,
    Failure,
    Usage,
    NotFound,
    Refused,
    Conflict,
    Unavailable,
    /// As a command that was run for the user.
    Command(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::NotFound => 3,
            Exit::Refused => 4,
            Exit::Conflict => 5,
            Exit::Unavailable => 6,
            Exit::Command(code) => code,
        })
    }
}

/// The command was asked for something that cannot be; nothing was done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// The command that ran under a lock was stopped.
#[derive(Debug, thiserror::Error)]
#[error("the lock was lost, and the command stopped: {0}")]
pub(crate) struct LockLost(pub(crate) LockLoss);

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
                if let Some(call) = cause.downcast_ref::<Error>() {
                    return Some(Self::of_code(call.code));
                }
                if cause.is::<LockLost>() {
                    return Some(Self::Conflict);
                }
                cause.downcast_ref::<UsageError>().map(|_| Self::Usage)
            })
            .unwrap_or(Self::Failure)
    }
}

/// Says what went wrong on standard error, once, and answers the code to end with.
pub(crate) fn report(error: &anyhow::Error, format: Format) -> Exit {
    let call = error.chain().find_map(|cause| cause.downcast_ref::<Error>());
    match format {
        Format::Json => {
            let details = call.map_or_else(|| json!({ "message": format!("{error:#}") }), call_json);
            eprintln!("{}", json!({ "error": details }));
        }
        Format::Table => {
            match call {
                // What is behind it is the library's to know.
                Some(call) => {
                    let context = error.chain().take_while(|cause| !cause.is::<Error>());
                    let context: String = context.map(|cause| format!("{cause}: ")).collect();
                    eprint!("error: {context}{call}\n{}", explanation(call));
                }
                None => eprintln!("error: {error:#}"),
            }
        }
    }
    Exit::of_error(error)
}

/// What a person would want to know beyond the message, one line each.
fn explanation(call: &Error) -> String {
    let mut text = String::new();
    for violation in &call.fields {
        text.push_str(&format!("  {}: {}\n", violation.field, violation.description));
    }
    if let Some(delay) = call.retry_after {
        text.push_str(&format!("  try again after {:.1} s\n", delay.as_secs_f64()));
    }
    if let Some(request_id) = &call.request_id {
        text.push_str(&format!("  request id: {request_id}\n"));
    }
    if call.kind == ErrorKind::Unreachable {
        text.push_str("  is the stack up (`holdfast up`), and this its address?\n");
    }
    if call.reason().is_some() {
        text.push_str(&format!("  help: docs/errors/{}.md\n", call.name()));
    }
    text
}

fn call_json(call: &Error) -> Value {
    let violations: Vec<Value> = call
        .fields
        .iter()
        .map(|violation| json!({ "field": violation.field, "description": violation.description }))
        .collect();
    json!({
        "reason": call.name(),
        "message": call.message,
        "violations": violations,
        "metadata": call.metadata,
        "retry_after_ms": call.retry_after.map(|delay| delay.as_millis()),
        "request_id": call.request_id,
        "trace_id": call.trace_id,
        "help": call.reason().map(|_| format!("docs/errors/{}.md", call.name())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_refusal_has_its_exit_code() {
        for (code, exit) in [
            (Code::NotFound, Exit::NotFound),
            (Code::PermissionDenied, Exit::Refused),
            (Code::AlreadyExists, Exit::Conflict),
            (Code::Unavailable, Exit::Unavailable),
            (Code::Internal, Exit::Failure),
        ] {
            assert_eq!(Exit::of_code(code), exit);
        }
    }

    #[test]
    fn an_error_keeps_its_code_under_context() {
        let error = anyhow::Error::new(UsageError("no such thing".into())).context("while asking");
        assert_eq!(Exit::of_error(&error), Exit::Usage);
        assert_eq!(Exit::of_error(&anyhow::anyhow!("anything")), Exit::Failure);
    }
}
