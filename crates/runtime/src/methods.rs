//! Every method that this process serves, known from the descriptor set before the first call.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use holdfast_telemetry::context::TraceContext;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::Code;

use crate::{access::Access, edge::measures::Measures};

/// The access table and the contracts do not agree; the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error("the descriptor set cannot be read: {0}")]
    Descriptors(#[from] prost::DecodeError),
    #[error("method {0} has no entry in the access table")]
    Missing(String),
    #[error("method {0} has two entries in the access table")]
    Duplicate(&'static str),
    #[error("the access table names {0}, which no contract has")]
    Unknown(&'static str),
}

/// Who is let in.
pub(crate) enum Admission {
    /// Health and reflection: anyone, without a token.
    Open,
    Authenticated(Access),
}

pub(crate) struct Method {
    /// `/package.Service/Method`
    pub(crate) path: String,
    /// Whether either side sends a stream.
    pub(crate) is_stream: bool,
    pub(crate) admission: Admission,
    pub(crate) measures: Measures,
}

/// The methods by path. What is not here cannot be reached, even where it is routed.
pub(crate) struct Methods {
    by_path: HashMap<String, Arc<Method>>,
    /// Fully qualified names of the services with an access table.
    pub(crate) services: Vec<String>,
    /// Calls of methods that nobody knows, under one label for all of them.
    pub(crate) unknown: Measures,
}

impl Methods {
    pub(crate) fn new(access: &'static [Access], descriptors: &[u8]) -> Result<Self, AccessError> {
        let mut entries = HashMap::new();
        for entry in access {
            if entries.insert(entry.method, *entry).is_some() {
                return Err(AccessError::Duplicate(entry.method));
            }
        }
        let services: HashSet<&str> = access.iter().filter_map(|entry| service_of(entry.method)).collect();
        let mut by_path = HashMap::new();
        for declared in declared(descriptors)? {
            if services.contains(declared.service.as_str()) {
                let entry = entries.remove(declared.path.as_str());
                let entry = entry.ok_or_else(|| AccessError::Missing(declared.path.clone()))?;
                by_path.insert(declared.path.clone(), Arc::new(declared.method(Admission::Authenticated(entry))));
            }
        }
        if let Some(unknown) = access.iter().find(|entry| entries.contains_key(entry.method)) {
            return Err(AccessError::Unknown(unknown.method));
        }
        let open = [
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        for set in open {
            for declared in declared(set)? {
                by_path.insert(declared.path.clone(), Arc::new(declared.method(Admission::Open)));
            }
        }
        let mut services: Vec<String> = services.into_iter().map(str::to_owned).collect();
        services.sort();
        Ok(Self { by_path, services, unknown: Measures::new("unknown", "unknown") })
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Arc<Method>> {
        self.by_path.get(path)
    }
}

impl Method {
    /// A span for a call, where anyone records spans.
    pub(crate) fn span(&self, parent: Option<TraceContext>) -> Option<(tracing::Span, TraceContext)> {
        holdfast_telemetry::call_span(&self.path, parent)
    }
}

struct Declared {
    service: String,
    name: String,
    path: String,
    is_stream: bool,
}

impl Declared {
    fn method(&self, admission: Admission) -> Method {
        let measures = Measures::new(&self.service, &self.name);
        Method { path: self.path.clone(), is_stream: self.is_stream, admission, measures }
    }
}

fn declared(descriptors: &[u8]) -> Result<Vec<Declared>, AccessError> {
    let set = FileDescriptorSet::decode(descriptors)?;
    let mut methods = Vec::new();
    for file in &set.file {
        for service in &file.service {
            let service_name = format!("{}.{}", file.package(), service.name());
            for method in &service.method {
                methods.push(Declared {
                    service: service_name.clone(),
                    name: method.name().to_owned(),
                    path: format!("/{service_name}/{}", method.name()),
                    is_stream: method.client_streaming() || method.server_streaming(),
                });
            }
        }
    }
    Ok(methods)
}

fn service_of(path: &'static str) -> Option<&'static str> {
    path.strip_prefix('/')?.rsplit_once('/').map(|(service, _)| service)
}

/// As the label and the log line spell it.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
