//! What a process says about itself: log lines, traces, metrics and its build.
//!
//! [`start`] installs all of it once per process; the [`Guard`] it returns flushes what is still buffered. Log lines
//! carry the ids of the call they belong to without a span of their own: the runtime puts them in scope with
//! [`context::scope`], which costs a pointer. Spans exist only where an OTLP endpoint is configured. A collector that is
//! away costs spans, never calls; a wrong configuration is refused at start.
#![forbid(unsafe_code)]

mod config;
pub mod context;
mod log;
mod metrics;
mod traces;

use std::io::IsTerminal as _;

use opentelemetry::trace::TracerProvider as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, filter::LevelFilter, layer::SubscriberExt as _};

pub use config::{LogFormat, OtlpConfig, TelemetryConfig};
pub use metrics::Metrics;
pub use traces::{Guard, call_span, spans_wanted};

/// Which program this is.
#[derive(Debug, Clone, Copy)]
pub struct BuildInfo {
    /// The name of the binary, `holdfast-jobs`.
    pub service: &'static str,
    pub version: &'static str,
    /// Of the source tree, where the build knew it.
    pub commit: &'static str,
}

impl BuildInfo {
    /// Call with `env!("CARGO_PKG_VERSION")`. The commit is taken from `HOLDFAST_COMMIT` at build time.
    pub const fn new(service: &'static str, version: &'static str) -> Self {
        let commit = match option_env!("HOLDFAST_COMMIT") {
            Some(commit) => commit,
            None => "unknown",
        };
        Self { service, version, commit }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("telemetry.level: {0}")]
    Level(tracing_subscriber::filter::ParseError),
    #[error("telemetry.otlp.sample_ratio: must be between 0 and 1")]
    SampleRatio,
    #[error("telemetry.otlp.endpoint: {0}")]
    Endpoint(opentelemetry_otlp::ExporterBuildError),
    #[error("a log subscriber is installed already: {0}")]
    AlreadyStarted(tracing::subscriber::SetGlobalDefaultError),
    #[error("the metrics recorder cannot be installed: {0}")]
    Metrics(metrics_exporter_prometheus::BuildError),
}

/// Installs logs, traces and metrics for this process. Must be called inside a tokio runtime where OTLP is on.
pub fn start(build: BuildInfo, config: &TelemetryConfig) -> Result<(Guard, Metrics), TelemetryError> {
    let level = EnvFilter::try_new(&config.level).map_err(TelemetryError::Level)?;
    let traces = traces::provider(build, &config.otlp)?;
    let metrics = Metrics::install()?;

    let spans = traces.as_ref().map(|provider| {
        tracing_opentelemetry::layer().with_tracer(provider.tracer(build.service)).with_filter(LevelFilter::INFO)
    });
    let logs: Box<dyn Layer<_> + Send + Sync> = match config.format {
        LogFormat::Json => log::json_layer(build.service, std::io::stdout).with_filter(level).boxed(),
        LogFormat::Text => tracing_subscriber::fmt::layer()
            .compact()
            .with_ansi(std::io::stdout().is_terminal())
            .with_filter(level)
            .boxed(),
    };
    let subscriber = Registry::default().with(logs).with(spans);
    tracing::subscriber::set_global_default(subscriber).map_err(TelemetryError::AlreadyStarted)?;

    metrics.describe_build(build);
    Ok((Guard::new(traces), metrics))
}
