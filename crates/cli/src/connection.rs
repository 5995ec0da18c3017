//! How a command reaches a service: endpoint, token, deadline, and the errors that come back.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use anyhow::Context;
use holdfast_caller::{
    Kind, Role,
    issuer::{DevIssuer, TokenSpec},
};
use holdfast_fault::Received;
use holdfast_ids::{ActorId, RequestId, TenantId};
use holdfast_proto::jobs::v1::{job_service_client::JobServiceClient, worker_service_client::WorkerServiceClient};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tonic::{
    Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, ClientTlsConfig, Endpoint},
};

use crate::{
    dev::{Layout, StackInfo, TENANT},
    exit::{Exit, UsageError},
};

pub(crate) const ENDPOINT_DEFAULT: &str = "http://127.0.0.1:7100";
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// Where the service names no delay.
const RETRY_DELAY: Duration = Duration::from_millis(200);
/// Long enough for a worker's evening, well under the lifetime cap of every kind.
const MINTED_LIFETIME: Duration = Duration::from_secs(3 * 3600);

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// URL of the service [default: the stack running in --dir, else http://127.0.0.1:7100].
    #[arg(long, env = "HOLDFAST_ENDPOINT", value_name = "URL")]
    pub(crate) endpoint: Option<String>,

    /// Bearer token [default: a development token, where --dir holds a signing key].
    #[arg(long, env = "HOLDFAST_TOKEN", hide_env_values = true, value_name = "TOKEN", conflicts_with = "token_file")]
    pub(crate) token: Option<String>,

    /// File with the bearer token; read again for each connection.
    #[arg(long, env = "HOLDFAST_TOKEN_FILE", value_name = "PATH")]
    pub(crate) token_file: Option<PathBuf>,

    /// Directory of the development stack.
    #[arg(long, env = "HOLDFAST_DIR", default_value = ".holdfast", value_name = "PATH")]
    pub(crate) dir: PathBuf,

    /// Deadline of a call, in seconds.
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) timeout: u64,
}

/// As whom a development token is made where the user brought none.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Minted<'a> {
    Person,
    Worker(&'a str),
}

pub(crate) type Authorized = InterceptedService<Channel, Credentials>;

/// An open connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    channel: Channel,
    credentials: Credentials,
    timeout: Duration,
}

impl ConnectionArgs {
    pub(crate) async fn open(&self, minted: Minted<'_>) -> anyhow::Result<Connection> {
        let token = self.token(minted)?;
        self.open_with(&token).await
    }

    pub(crate) async fn open_with(&self, token: &str) -> anyhow::Result<Connection> {
        let credentials = Credentials::new(token)?;
        let url = self.url();
        let endpoint = endpoint(&url)?;
        let channel = endpoint.connect().await.map_err(|source| CallError::Unreachable { url, source })?;
        Ok(Connection { channel, credentials, timeout: Duration::from_secs(self.timeout) })
    }

    pub(crate) fn layout(&self) -> anyhow::Result<Layout> {
        Ok(Layout::at(&self.dir)?)
    }

    pub(crate) fn url(&self) -> String {
        let running = || self.layout().and_then(|layout| StackInfo::load(&layout)).map(|info| info.endpoint).ok();
        self.endpoint.clone().or_else(running).unwrap_or_else(|| ENDPOINT_DEFAULT.to_owned())
    }

    /// The token to present now. A development token is a new one each time.
    pub(crate) fn token(&self, minted: Minted<'_>) -> anyhow::Result<String> {
        if let Some(token) = &self.token {
            return Ok(token.clone());
        }
        if let Some(path) = &self.token_file {
            let token = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            return Ok(token.trim().to_owned());
        }
        mint(&self.layout()?.keys(), minted)
    }
}

fn endpoint(url: &str) -> anyhow::Result<Endpoint> {
    let endpoint = Endpoint::from_str(url).map_err(|_| UsageError(format!("not a URL: {url}")))?;
    let endpoint =
        endpoint.connect_timeout(CONNECT_PATIENCE).tcp_nodelay(true).http2_keep_alive_interval(Duration::from_secs(20));
    if url.starts_with("https://") {
        return Ok(endpoint.tls_config(ClientTlsConfig::new().with_native_roots())?);
    }
    Ok(endpoint)
}

/// A new development token.
pub(crate) fn mint(keys: &Path, minted: Minted<'_>) -> anyhow::Result<String> {
    let issuer = DevIssuer::load(keys).map_err(|_| {
        UsageError(format!(
            "no token: give --token, --token-file or HOLDFAST_TOKEN, or run where `holdfast up` has made a key (looked in {})",
            keys.display()
        ))
    })?;
    let tenant = TenantId::parse(TENANT)?;
    let spec = match minted {
        Minted::Person => TokenSpec::user(ActorId::parse("dev")?, tenant, Role::Owner),
        Minted::Worker(subject) => TokenSpec::new(Kind::Worker, ActorId::parse(subject)?, tenant),
    };
    Ok(issuer.issue(spec.lifetime(MINTED_LIFETIME)))
}

impl Connection {
    pub(crate) fn jobs(&self) -> JobServiceClient<Authorized> {
        JobServiceClient::with_interceptor(self.channel.clone(), self.credentials.clone())
    }

    pub(crate) fn workers(&self) -> WorkerServiceClient<Authorized> {
        WorkerServiceClient::with_interceptor(self.channel.clone(), self.credentials.clone())
    }

    /// A request with the deadline of this connection.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.timeout);
        request
    }
}

/// Calls until the answer is final: one that says that the same call can succeed later is waited out, up to `patience`.
pub(crate) async fn persist<T, F>(patience: Duration, mut call: impl FnMut() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let deadline = Instant::now() + patience;
    loop {
        let status = match call().await {
            Ok(response) => return Ok(response.into_inner()),
            Err(status) => status,
        };
        let received = Received::from_status(&status);
        if !received.retryable() || Instant::now() > deadline {
            return Err(status);
        }
        sleep(received.retry_after.unwrap_or(RETRY_DELAY)).await;
    }
}

/// Puts the token and a request id into each call.
#[derive(Clone)]
pub(crate) struct Credentials {
    authorization: MetadataValue<Ascii>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

impl Credentials {
    fn new(token: &str) -> Result<Self, UsageError> {
        let mut authorization: MetadataValue<Ascii> = format!("Bearer {token}")
            .parse()
            .map_err(|_| UsageError("the token holds characters that a token cannot have".to_owned()))?;
        authorization.set_sensitive(true);
        Ok(Self { authorization })
    }
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.authorization.clone());
        let request_id = RequestId::new().to_string().parse();
        request.metadata_mut().insert("x-request-id", request_id.map_err(|_| Status::internal("request id"))?);
        Ok(request)
    }
}

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("nothing answers at {url}; is the stack up? (`holdfast up`)")]
    Unreachable { url: String, source: tonic::transport::Error },
    #[error("{}: {}", .0.name(), .0.message)]
    Refused(Box<Received>),
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(Received::from_status(&status)))
    }
}

impl CallError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Unreachable { .. } => Exit::Unavailable,
            Self::Refused(received) => Exit::of_code(received.code),
        }
    }

    /// What a person would want to know beyond the message, one line each.
    pub(crate) fn explanation(&self) -> String {
        let Self::Refused(received) = self else { return String::new() };
        let mut text = String::new();
        for violation in &received.violations {
            text.push_str(&format!("  {}: {}\n", violation.field, violation.description));
        }
        if let Some(delay) = received.retry_after {
            text.push_str(&format!("  try again after {:.1} s\n", delay.as_secs_f64()));
        }
        if let Some(request_id) = &received.request_id {
            text.push_str(&format!("  request id: {request_id}\n"));
        }
        if received.reason.is_some() {
            text.push_str(&format!("  help: docs/errors/{}.md\n", received.name()));
        }
        text
    }

    pub(crate) fn to_json(&self) -> Value {
        let Self::Refused(received) = self else { return json!({ "message": self.to_string() }) };
        let violations: Vec<Value> = received
            .violations
            .iter()
            .map(|violation| json!({ "field": violation.field, "description": violation.description }))
            .collect();
        json!({
            "reason": received.name(),
            "message": received.message,
            "violations": violations,
            "metadata": received.metadata,
            "retry_after_ms": received.retry_after.map(|delay| delay.as_millis()),
            "request_id": received.request_id,
            "trace_id": received.trace_id,
            "help": received.reason.map(|_| format!("docs/errors/{}.md", received.name())),
        })
    }
}

#[cfg(test)]
mod tests {
    use holdfast_fault::{Fault, Reason};

    use super::*;

    #[test]
    fn a_refusal_tells_reason_violations_and_where_to_read_on() {
        let refusal = CallError::from(Status::from(Fault::invalid("project_id", "is too long")));
        assert_eq!(refusal.exit(), Exit::Usage);
        let text = refusal.explanation();
        assert!(
            text.contains("project_id: is too long") && text.contains("docs/errors/REQ_400_INVALID_SCHEMA.md"),
            "{text}"
        );
        assert_eq!(refusal.to_json()["reason"], "REQ_400_INVALID_SCHEMA");
    }

    #[test]
    fn each_kind_of_refusal_has_its_exit_code() {
        let exit = |reason| CallError::from(Status::from(Fault::new(reason, ""))).exit();
        assert_eq!(exit(Reason::Job404NotFound), Exit::NotFound);
        assert_eq!(exit(Reason::Auth403Role), Exit::Refused);
        assert_eq!(exit(Reason::Job409IdempotencyConflict), Exit::Conflict);
        assert_eq!(exit(Reason::Infra503DependencyDown), Exit::Unavailable);
        assert_eq!(exit(Reason::Internal500Unexpected), Exit::Failure);
    }
}
