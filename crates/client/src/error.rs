//! What a call that failed says, typed.

use std::{collections::BTreeMap, error::Error as StdError, fmt, iter, ops::Deref, sync::Arc, time::Duration};

use holdfast_fault::{Received, traits};
use serde_json::error::Category;
use tonic::{Code, ConnectError, Status};

pub use holdfast_fault::{Reason, Violation as FieldViolation};

/// Why a call, or one item of a batch, failed. Cheap to clone: what fails a batch fails each of its items.
#[derive(Clone)]
pub struct Error(Arc<Details>);

/// What is known of a failure. Branch on [`kind`](Self::kind), never on the message.
#[derive(Clone)]
#[non_exhaustive]
pub struct Details {
    pub kind: ErrorKind,
    /// The canonical code, also where nothing was received.
    pub code: Code,
    /// For people.
    pub message: String,
    /// The fields at fault, by their paths in the request.
    pub fields: Vec<FieldViolation>,
    /// The least delay after which the service wants to be asked again.
    pub retry_after: Option<Duration>,
    /// What the service says beside the reason, such as the `component` that is down.
    pub metadata: BTreeMap<String, String>,
    /// Finds the call in the service's log.
    pub request_id: Option<String>,
    pub trace_id: Option<String>,
    /// How often the request was sent before this was given up.
    pub attempts: u32,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The service refused, for a reason of the catalogue; `docs/errors` has a page on each.
    Refused(Reason),
    /// The service refused, for a reason that is newer than this crate.
    RefusedByNewer(String),
    /// A status without a reason: something between here and the service answered, or the server has no such method.
    Foreign,
    /// No connection could be made; the request never left.
    Unreachable,
    /// The connection was lost, or the deadline passed, after the request may have left: what became of it is not known.
    Lost,
    /// The job that was waited for had not ended by then.
    NotEnded,
    /// The token source had no token; nothing was sent.
    NoToken,
    /// This cannot be sent as it is, by this side's own check; nothing was sent.
    Invalid,
    /// What came back is not an answer of this contract; what became of the request is not known.
    BadAnswer,
    /// The job has no result, or not one of this form.
    NoResult,
}

impl Error {
    /// Whether the same request, sent again under the same key, can succeed without anybody's help.
    pub fn is_retryable(&self) -> bool {
        match &self.kind {
            // With more time it can, and it may have already.
            ErrorKind::Refused(Reason::Req408Deadline) => true,
            ErrorKind::Refused(reason) => traits(*reason).retryable,
            ErrorKind::RefusedByNewer(_) => self.retry_after.is_some(),
            ErrorKind::Foreign => self.code == Code::Unavailable,
            ErrorKind::Unreachable | ErrorKind::Lost | ErrorKind::NotEnded => true,
            ErrorKind::NoToken | ErrorKind::Invalid | ErrorKind::BadAnswer | ErrorKind::NoResult => false,
        }
    }

    /// Whether a change that was asked for may have been made all the same. Asking again under the same key tells.
    pub fn is_ambiguous(&self) -> bool {
        match &self.kind {
            ErrorKind::Refused(reason) => matches!(
                reason,
                Reason::Req408Deadline | Reason::Infra503DependencyDown | Reason::Internal500Unexpected
            ),
            ErrorKind::Foreign | ErrorKind::RefusedByNewer(_) => matches!(
                self.code,
                Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::Unknown | Code::Internal
            ),
            ErrorKind::Lost | ErrorKind::BadAnswer => true,
            ErrorKind::Unreachable
            | ErrorKind::NotEnded
            | ErrorKind::NoToken
            | ErrorKind::Invalid
            | ErrorKind::NoResult => false,
        }
    }

    /// The reason, where it is one that this crate knows.
    pub fn reason(&self) -> Option<Reason> {
        match self.kind {
            ErrorKind::Refused(reason) => Some(reason),
            _ => None,
        }
    }

    pub fn is(&self, reason: Reason) -> bool {
        self.reason() == Some(reason)
    }

    /// The reason as it stands on the wire, `JOB_404_NOT_FOUND`, or the code where there is none.
    pub fn name(&self) -> String {
        match &self.kind {
            ErrorKind::Refused(reason) => traits(*reason).wire_name.to_owned(),
            ErrorKind::RefusedByNewer(name) => name.clone(),
            _ => format!("{:?}", self.code),
        }
    }

    /// An error of one item of a batch.
    pub(crate) fn of_item(status: &tonic_types::Status) -> Self {
        Self::received(Received::from_rpc(status), ErrorKind::Foreign, None)
    }

    pub(crate) fn of_status(status: Status) -> Self {
        if chain(&status).any(|error| error.is::<ConnectError>()) {
            return Self::no_connection("", status);
        }
        let kind = if status.source().is_some() || matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded) {
            // Made on this side: of what the other side says nothing but bytes arrives. Or whoever stands there has given
            // up at the deadline of the request, as tonic's own servers do: what became of it is known as little.
            ErrorKind::Lost
        } else {
            ErrorKind::Foreign
        };
        let received = Received::from_status(&status);
        let source = status.source().is_some().then(|| Arc::new(status) as _);
        Self::received(received, kind, source)
    }

    fn received(
        received: Received,
        without_reason: ErrorKind,
        source: Option<Arc<dyn StdError + Send + Sync>>,
    ) -> Self {
        let kind = match (received.reason, received.wire_name) {
            (Some(reason), _) => ErrorKind::Refused(reason),
            (None, Some(name)) => ErrorKind::RefusedByNewer(name),
            (None, None) => without_reason,
        };
        Self(Arc::new(Details {
            kind,
            code: received.code,
            message: received.message,
            fields: received.violations,
            retry_after: received.retry_after,
            metadata: received.metadata,
            request_id: received.request_id,
            trace_id: received.trace_id,
            attempts: 0,
            source,
        }))
    }

    fn here(kind: ErrorKind, code: Code, message: String) -> Self {
        Self(Arc::new(Details {
            kind,
            code,
            message,
            fields: Vec::new(),
            retry_after: None,
            metadata: BTreeMap::new(),
            request_id: None,
            trace_id: None,
            attempts: 0,
            source: None,
        }))
    }

    pub(crate) fn invalid(message: impl fmt::Display) -> Self {
        Self::here(ErrorKind::Invalid, Code::InvalidArgument, message.to_string())
    }

    pub(crate) fn bad_answer(message: &str) -> Self {
        Self::here(ErrorKind::BadAnswer, Code::Internal, message.to_owned())
    }

    /// What an answer always holds.
    pub(crate) fn unless_there<T>(part: Option<T>) -> Result<T, Self> {
        part.ok_or_else(|| Self::bad_answer("the answer is empty"))
    }

    pub(crate) fn no_result(message: String) -> Self {
        Self::here(ErrorKind::NoResult, Code::FailedPrecondition, message)
    }

    pub(crate) fn no_token(source: Box<dyn StdError + Send + Sync>) -> Self {
        let error = Self::here(ErrorKind::NoToken, Code::Unauthenticated, format!("no token: {source}"));
        error.with(|details| details.source = Some(Arc::from(source)))
    }

    pub(crate) fn lost(message: &str) -> Self {
        Self::here(ErrorKind::Lost, Code::DeadlineExceeded, message.to_owned())
    }

    pub(crate) fn not_ended(job_id: &str, within: Duration) -> Self {
        let message = format!("job {job_id} has not ended within {within:?}");
        Self::here(ErrorKind::NotEnded, Code::DeadlineExceeded, message)
    }

    pub(crate) fn unreachable(url: &str, source: tonic::transport::Error) -> Self {
        Self::no_connection(&format!(" to {url}"), source)
    }

    /// What went wrong stands at the bottom; the errors above it only say that something did.
    fn no_connection(to: &str, source: impl StdError + Send + Sync + 'static) -> Self {
        let why = chain(&source).last().map(ToString::to_string).unwrap_or_default();
        let error = Self::here(ErrorKind::Unreachable, Code::Unavailable, format!("no connection{to}: {why}"));
        error.with(|details| details.source = Some(Arc::new(source)))
    }

    /// What was sent, and how often; the service's own word on the request id goes first.
    pub(crate) fn sent(self, request_id: &str, attempts: u32) -> Self {
        self.with(|details| {
            details.attempts = attempts;
            details.request_id.get_or_insert_with(|| request_id.to_owned());
        })
    }

    fn with(mut self, change: impl FnOnce(&mut Details)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

/// An error and those behind it, outermost first.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    iter::successors(Some(error), |&error| error.source())
}

impl Deref for Error {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ErrorKind::Refused(_) | ErrorKind::RefusedByNewer(_) | ErrorKind::Foreign => {
                write!(f, "{}: {}", self.name(), self.message)
            }
            _ => f.write_str(&self.message),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.kind).field("code", &self.code).field("message", &self.message);
        debug.field("fields", &self.fields).field("retry_after", &self.retry_after).field("metadata", &self.metadata);
        debug.field("request_id", &self.request_id).field("attempts", &self.attempts).field("source", &self.source);
        debug.finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<serde_json::Error> for Error {
    /// A payload that cannot be written as JSON.
    fn from(error: serde_json::Error) -> Self {
        Self::invalid(flaw(&error))
    }
}

/// What is wrong with JSON, without what it holds: serde would quote it.
pub(crate) fn flaw(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        Category::Io => "could not be written or read",
        Category::Syntax => "is not JSON",
        Category::Data => "is JSON of another form than expected",
        Category::Eof => "ends too soon",
    };
    format!("{what}, at line {} column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use holdfast_fault::Fault;

    use super::*;

    fn refused(reason: Reason) -> Error {
        Error::of_status(Fault::new(reason, "why").into_plain_status())
    }

    trait Plain {
        fn into_plain_status(self) -> Status;
    }

    /// As it comes off the wire: without the fault that made it as a source.
    impl Plain for Fault {
        fn into_plain_status(self) -> Status {
            let status = Status::from(self);
            Status::with_details(status.code(), status.message(), status.details().to_vec().into())
        }
    }

    #[test]
    fn every_reason_of_the_catalogue_is_its_own_kind() {
        for &(reason, name, code, retryable) in holdfast_proto::errors::catalogue::CATALOGUE {
            let error = refused(reason);
            assert_eq!((error.reason(), error.name().as_str()), (Some(reason), name));
            assert_eq!(error.code as i32, code);
            assert_eq!(error.is_retryable(), retryable || reason == Reason::Req408Deadline, "{name}");
        }
    }

    #[test]
    fn a_reason_from_the_future_keeps_its_name_and_says_by_retry_info_whether_to_repeat() {
        use tonic_types::{ErrorDetails, StatusExt as _};
        let future = |delay| {
            let mut details = ErrorDetails::new();
            details.set_error_info("JOB_418_TEAPOT", "holdfast", std::collections::HashMap::new());
            if delay {
                details.set_retry_info(Some(Duration::from_secs(2)));
            }
            Error::of_status(Status::with_error_details(Code::FailedPrecondition, "short and stout", details))
        };
        assert_eq!(future(false).kind, ErrorKind::RefusedByNewer("JOB_418_TEAPOT".into()));
        assert!(!future(false).is_retryable() && future(true).is_retryable());
    }

    #[test]
    fn what_may_have_been_done_is_ambiguous_and_what_was_refused_is_not() {
        for reason in [Reason::Req408Deadline, Reason::Infra503DependencyDown, Reason::Internal500Unexpected] {
            assert!(refused(reason).is_ambiguous(), "{reason:?}");
        }
        for reason in [Reason::Job404NotFound, Reason::Job503QueueUnavailable, Reason::Infra503Draining] {
            assert!(!refused(reason).is_ambiguous(), "{reason:?}");
        }
        let proxy = Error::of_status(Status::unavailable("502 Bad Gateway"));
        assert!(proxy.kind == ErrorKind::Foreign && proxy.is_ambiguous() && proxy.is_retryable());
        assert!(!Error::of_status(Status::unimplemented("no such method")).is_ambiguous());
        for given_up in [Status::cancelled("Timeout expired"), Status::deadline_exceeded("")] {
            assert_eq!(Error::of_status(given_up).kind, ErrorKind::Lost);
        }
    }

    #[test]
    fn fields_and_delay_and_metadata_are_there() {
        let error = Error::of_status(Fault::invalid("jobs[3].project_id", "is too long").into_plain_status());
        assert_eq!(error.fields, [FieldViolation::new("jobs[3].project_id", "is too long")]);
        let down = Fault::dependency_down("postgres", "gone").retry_after(Duration::from_secs(3));
        let down = Error::of_status(down.into_plain_status());
        assert_eq!(down.retry_after, Some(Duration::from_secs(3)));
        assert_eq!(down.metadata["component"], "postgres");
    }
}
