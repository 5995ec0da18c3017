//! `/healthz`, `/readyz`, `/startupz` and `/metrics`, without authentication and without secrets.

use std::{future::IntoFuture as _, io, net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::State as From,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use holdfast_telemetry::Metrics;
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::Health;
use crate::config::HttpConfig;

const UPKEEP_PERIOD: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Sources {
    health: Health,
    metrics: Metrics,
}

/// The port for probes and scrapes. It stays open while the process drains, so that its readiness can be seen to be off.
pub struct HttpServer {
    address: SocketAddr,
    closing: CancellationToken,
    serving: JoinHandle<io::Result<()>>,
}

impl HttpServer {
    pub async fn start(config: &HttpConfig, health: Health, metrics: Metrics) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let closing = CancellationToken::new();
        tokio::spawn(upkeep(metrics.clone(), closing.clone()));
        let router = Router::new()
            .route("/healthz", get(async || json_answer(StatusCode::OK, &json!({"status": "ok"}))))
            .route("/readyz", get(readiness))
            .route("/startupz", get(startup))
            .route("/metrics", get(scrape))
            .with_state(Sources { health, metrics });
        let server = axum::serve(listener, router).with_graceful_shutdown(closing.clone().cancelled_owned());
        let serving = tokio::spawn(server.into_future());
        Ok(Self { address, closing, serving })
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops answering; the last thing that a process does. A scraper that keeps its connection open is not waited for.
    pub async fn close(self) {
        self.closing.cancel();
        let mut serving = self.serving;
        if tokio::time::timeout(Duration::from_secs(1), &mut serving).await.is_err() {
            serving.abort();
        }
    }
}

/// Samples would pile up in memory where nobody scrapes.
async fn upkeep(metrics: Metrics, closing: CancellationToken) {
    let mut ticks = tokio::time::interval(UPKEEP_PERIOD);
    loop {
        tokio::select! { () = closing.cancelled() => return, _ = ticks.tick() => metrics.run_upkeep() }
    }
}

async fn readiness(From(sources): From<Sources>) -> Response {
    let (ready, body) = sources.health.read(|facts| {
        let dependencies: Map<String, Value> =
            facts.dependencies.iter().map(|(name, known)| ((*name).to_owned(), Value::from(known.word))).collect();
        let status = match (facts.has_started, facts.is_draining) {
            (_, true) => "draining",
            (false, _) => "starting",
            _ => facts.state().as_str(),
        };
        (facts.is_ready(), json!({"status": status, "dependencies": dependencies}))
    });
    json_answer(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &body)
}

async fn startup(From(sources): From<Sources>) -> Response {
    if sources.health.read(|facts| facts.has_started) {
        json_answer(StatusCode::OK, &json!({"status": "started"}))
    } else {
        json_answer(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "starting"}))
    }
}

async fn scrape(From(sources): From<Sources>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], sources.metrics.render()).into_response()
}

fn json_answer(status: StatusCode, body: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
