//! The connection of a program to the platform: endpoints, token, deadlines, and how a call is sent again.

use std::{fmt, sync::Arc, time::Duration};

use holdfast_ids::RequestId;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout},
};
use tonic::{
    Request, Response, Status,
    metadata::MetadataValue,
    transport::{Channel, ClientTlsConfig, Endpoint},
};

use crate::retry::in_future;
use crate::{
    Error, ErrorKind, Jobs, Keys, Locks, Projects, Reason, Retry, TokenSource, Usages,
    instances::{Instances, Picked},
    retry::Budget,
    token::Tokens,
    wait,
};

/// With less time than this an attempt would only turn a clear refusal into an unknown outcome.
const ATTEMPT_MIN: Duration = Duration::from_millis(50);
/// An attempt to wait that lasted this long was served: what follows it has not the delays of what failed before it.
const SERVED_AFTER: Duration = Duration::from_secs(1);

/// Opens sessions and makes calls. Cheap to clone; clones share connections, token and retry budget.
#[derive(Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
    context: CallContext,
}

pub(crate) struct Shared {
    pub(crate) instances: Instances,
    pub(crate) tokens: Tokens,
    pub(crate) retry: Retry,
    pub(crate) budget: Budget,
    pub(crate) call_timeout: Duration,
    pub(crate) attempt_timeout: Duration,
    /// Places for waits that have a watch of their own.
    pub(crate) watched: Semaphore,
}

/// How long a call may take, and what ends it beside what no repetition can help.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) call_timeout: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) is_final: fn(&Error) -> bool,
    /// Attempts last while all is well.
    pub(crate) waits: bool,
}

/// What ties calls to the work that makes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallContext {
    /// One id over all attempts of a call; a new one for each call where None.
    pub request_id: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    pub tracestate: Option<String>,
}

/// How a [`Client`] is made. Nothing is connected before the first call, or [`Client::connect`].
pub struct ClientBuilder {
    endpoints: Vec<String>,
    token: Option<Arc<dyn TokenSource>>,
    tls: Option<ClientTlsConfig>,
    user_agent: String,
    connect_timeout: Duration,
    attempt_timeout: Duration,
    call_timeout: Duration,
    keep_alive: Duration,
    retry: Retry,
}

impl ClientBuilder {
    /// One more address of the same service; calls take turns among them. A name that stands for several machines is
    /// resolved with each new connection, and needs no list.
    #[must_use]
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoints.push(url.into());
        self
    }

    /// Where bearer tokens come from; `AccessToken::from("...")` is one that never changes.
    #[must_use]
    pub fn token(mut self, source: impl TokenSource) -> Self {
        self.token = Some(Arc::new(source));
        self
    }

    /// For certificates of one's own. Without it, `https` endpoints are checked against the system's roots.
    #[must_use]
    pub fn tls(mut self, tls: ClientTlsConfig) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Stands in front of this crate's own name.
    #[must_use]
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// 5 s by default.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// The deadline of one attempt; 10 s by default.
    #[must_use]
    pub fn attempt_timeout(mut self, limit: Duration) -> Self {
        self.attempt_timeout = limit;
        self
    }

    /// The deadline of a call with all its attempts and the delays between them; 30 s by default.
    #[must_use]
    pub fn call_timeout(mut self, limit: Duration) -> Self {
        self.call_timeout = limit;
        self
    }

    /// How often a silent connection is asked whether it still stands; 20 s by default.
    #[must_use]
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.keep_alive = interval;
        self
    }

    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// To be called within a tokio runtime. Fails where an endpoint is no URL, or the TLS configuration is none.
    pub fn build(self) -> Result<Client, Error> {
        let endpoints = self.endpoints.iter().map(|url| self.one(url)).collect::<Result<Vec<_>, _>>()?;
        let shared = Shared {
            instances: Instances::new(endpoints),
            tokens: Tokens::new(self.token),
            budget: self.retry.budget(),
            retry: self.retry,
            call_timeout: self.call_timeout,
            attempt_timeout: self.attempt_timeout,
            watched: Semaphore::new(wait::WATCHED_MAX),
        };
        Ok(Client { shared: Arc::new(shared), context: CallContext::default() })
    }

    fn one(&self, url: &str) -> Result<Endpoint, Error> {
        let no_url = |_| Error::invalid(format!("not a URL: {url}"));
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(no_url)?;
        let is_tls = match endpoint.uri().scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(Error::invalid(format!("not a URL of http or https: {url}"))),
        };
        let endpoint = endpoint
            .user_agent(self.user_agent.clone())
            .map_err(Error::invalid)?
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(self.keep_alive)
            .keep_alive_while_idle(true);
        if !is_tls {
            return Ok(endpoint);
        }
        let tls = self.tls.clone().unwrap_or_else(|| ClientTlsConfig::new().with_native_roots());
        endpoint.tls_config(tls).map_err(Error::invalid)
    }
}

impl Client {
    pub fn builder(endpoint: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            endpoints: vec![endpoint.into()],
            token: None,
            tls: None,
            user_agent: concat!("holdfast-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(20),
            retry: Retry::default(),
        }
    }

    /// Connects now, to the first endpoint that answers, and once: for programs that would rather end than wait.
    pub async fn connect(&self) -> Result<(), Error> {
        self.shared.instances.connect().await
    }

    /// A client whose calls belong to this work.
    #[must_use]
    pub fn within(&self, context: CallContext) -> Self {
        Self { shared: self.shared.clone(), context }
    }

    pub fn jobs(&self) -> Jobs {
        Jobs { client: self.clone() }
    }

    pub fn projects(&self) -> Projects {
        Projects { client: self.clone() }
    }

    pub fn keys(&self) -> Keys {
        Keys { client: self.clone() }
    }

    pub fn usage(&self) -> Usages {
        Usages { client: self.clone() }
    }

    /// Of the locks service, which has an address of its own: a client is of either service.
    pub fn locks(&self) -> Locks {
        Locks { client: self.clone() }
    }

    /// Sends a request until its answer is final or its time is over. Every method that comes through here can be sent
    /// again without harm: reads, changes under a key or a token, and a reservation, which nobody is granted twice.
    pub(crate) async fn call<Q, A, F>(&self, message: Q, send: impl Fn(Channel, Request<Q>) -> F) -> Result<A, Error>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        self.call_within(self.shared.terms(), || message.clone(), send).await
    }

    /// The same on terms of its own, with a message that is made for each attempt.
    pub(crate) async fn call_within<Q, A, F>(
        &self,
        terms: Terms,
        message: impl Fn() -> Q,
        send: impl Fn(Channel, Request<Q>) -> F,
    ) -> Result<A, Error>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let request_id = self.context.request_id.clone().unwrap_or_else(|| RequestId::new().to_string());
        let mut course = Course::new(&self.shared, terms);
        self.shared.budget.call();
        loop {
            let picked = self.shared.instances.pick();
            let limit = terms.attempt_timeout.min(course.left());
            let mut request = Request::new(message());
            request.set_timeout(limit);
            let addressed = self.address(&mut request, &request_id, limit).await;
            addressed.map_err(|error| error.sent(&request_id, course.attempts))?;
            let authorization = request.metadata().get("authorization").cloned();

            course.begin();
            let error = match timeout(limit, send(picked.channel.clone(), request)).await {
                Ok(Ok(response)) => return Ok(response.into_inner()),
                Ok(Err(status)) => Error::of_status(status),
                Err(_) => Error::lost("no answer before the deadline"),
            };
            let error = error.sent(&request_id, course.attempts);
            self.shared.note(&picked, &error);
            if course.was_served() {
                course.token_renewed = false;
            }
            let is_refused_token = error.is(Reason::Auth401InvalidToken) && !course.token_renewed;
            if is_refused_token && let Some(refused) = authorization {
                course.token_renewed = true;
                if self.shared.tokens.renew(&refused).await {
                    continue;
                }
            }
            match course.after(&error) {
                Some(delay) => sleep(delay).await,
                None => return Err(error),
            }
        }
    }

    /// Puts token, request id and trace into a request; waits no longer for the token than the request itself may take.
    pub(crate) async fn address<Q>(
        &self,
        request: &mut Request<Q>,
        request_id: &str,
        limit: Duration,
    ) -> Result<(), Error> {
        let authorization = timeout(limit, self.shared.tokens.header()).await;
        let authorization = authorization.unwrap_or_else(|_| Err(Error::no_token("it did not come in time".into())))?;
        let metadata = request.metadata_mut();
        if let Some(authorization) = authorization {
            metadata.insert("authorization", authorization);
        }
        let context = [
            ("x-request-id", Some(request_id)),
            ("traceparent", self.context.traceparent.as_deref()),
            ("tracestate", self.context.tracestate.as_deref()),
        ];
        for (name, value) in context {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                let value = MetadataValue::try_from(value);
                metadata.insert(name, value.map_err(|_| Error::invalid(format!("{name} holds what no header can")))?);
            }
        }
        Ok(())
    }
}

/// Without what it connects to and presents.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("context", &self.context).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn terms(&self) -> Terms {
        let (call_timeout, attempt_timeout) = (self.call_timeout, self.attempt_timeout);
        Terms { call_timeout, attempt_timeout, is_final: |_| false, waits: false }
    }

    /// What a failed attempt says of the instance that it went to.
    pub(crate) fn note(&self, picked: &Picked, error: &Error) {
        if error.is(Reason::Infra503Draining) {
            self.instances.reconnect(picked);
        }
        if is_of_instance(error) {
            self.instances.pass_over(picked);
        }
    }
}

/// Another instance may serve at once where this one did not.
fn is_of_instance(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Lost) || error.is(Reason::Infra503Draining)
}

/// One call, from its first attempt to its end.
struct Course<'a> {
    shared: &'a Shared,
    terms: Terms,
    deadline: Instant,
    /// When the latest attempt was sent.
    began: Instant,
    attempts: u32,
    /// Attempts after a delay.
    retries: u32,
    /// Attempts elsewhere, without one.
    moves: usize,
    token_renewed: bool,
}

impl<'a> Course<'a> {
    fn new(shared: &'a Shared, terms: Terms) -> Self {
        let (deadline, began) = (in_future(terms.call_timeout), Instant::now());
        Self { shared, terms, deadline, began, attempts: 0, retries: 0, moves: 0, token_renewed: false }
    }

    fn begin(&mut self) {
        self.began = Instant::now();
        self.attempts += 1;
    }

    /// Whether the latest attempt was not refused, but waited.
    fn was_served(&self) -> bool {
        self.terms.waits && self.began.elapsed() > SERVED_AFTER
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// How long to wait before the next attempt; None where there is none.
    fn after(&mut self, error: &Error) -> Option<Duration> {
        if !error.is_retryable() || (self.terms.is_final)(error) || self.left().is_zero() || !self.shared.budget.retry()
        {
            return None;
        }
        if self.was_served() {
            (self.moves, self.retries) = (0, 0);
        }
        // An instance that stops has been left by a new connection, which may lead elsewhere even where it is the only
        // address; one that cannot be reached has not.
        let elsewhere = self.shared.instances.len() - usize::from(!error.is(Reason::Infra503Draining));
        if is_of_instance(error) && self.moves < elsewhere {
            self.moves += 1;
            return Some(Duration::ZERO);
        }
        let delay = self.shared.retry.delay(self.retries, error.retry_after);
        self.retries += 1;
        (delay + ATTEMPT_MIN < self.left()).then_some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_endpoint_is_refused_before_anything_is_sent() {
        for url in ["", "not a url", "ftp://127.0.0.1:1"] {
            let error = Client::builder(url).build().expect_err("refused");
            assert_eq!(error.kind, ErrorKind::Invalid, "{url}");
        }
        assert!(Client::builder("https://jobs.example:7100").endpoint("http://[::1]:7100").build().is_ok());
    }
}
