//! Traces over OTLP, where a collector is configured.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry::{Context, KeyValue, trace::TraceContextExt as _};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::{BuildInfo, OtlpConfig, TelemetryError, context::TraceContext};

const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

static SPANS_WANTED: AtomicBool = AtomicBool::new(false);

/// Whether somebody records spans. Where not, a call goes without one.
pub fn spans_wanted() -> bool {
    SPANS_WANTED.load(Ordering::Relaxed)
}

pub(crate) fn provider(build: BuildInfo, config: &OtlpConfig) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    if !(0.0..=1.0).contains(&config.sample_ratio) {
        return Err(TelemetryError::SampleRatio);
    }
    if config.endpoint.is_empty() {
        return Ok(None);
    }
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(&config.endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(TelemetryError::Endpoint)?;
    let resource = Resource::builder()
        .with_service_name(build.service)
        .with_attribute(KeyValue::new("service.version", build.version))
        .build();
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample_ratio))))
        .with_resource(resource)
        .build();
    SPANS_WANTED.store(true, Ordering::Relaxed);
    Ok(Some(provider))
}

/// A server span for a call, child of the caller's span where the call named one, and its place in the trace.
///
/// None where nobody records spans.
pub fn call_span(method: &str, parent: Option<TraceContext>) -> Option<(Span, TraceContext)> {
    if !spans_wanted() {
        return None;
    }
    let span = tracing::info_span!(
        target: "holdfast::call", "call",
        otel.name = method.trim_start_matches('/'), otel.kind = "server", otel.status_code = tracing::field::Empty,
        rpc.system = "grpc", rpc.grpc.status_code = tracing::field::Empty,
    );
    if let Some(parent) = parent {
        // Fails only where no OTLP layer is installed, and then there is no trace to be part of.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent.to_remote()));
    }
    let trace = TraceContext::of(span.context().span().span_context())?;
    Some((span, trace))
}

/// Flushes what is buffered when the process ends.
#[must_use = "spans still buffered are lost without it"]
pub struct Guard {
    traces: Option<SdkTracerProvider>,
}

impl Guard {
    pub(crate) fn new(traces: Option<SdkTracerProvider>) -> Self {
        Self { traces }
    }

    /// Sends the last spans, for a few seconds at most.
    pub async fn flush(mut self) {
        if let Some(traces) = self.traces.take() {
            let shut_down = tokio::task::spawn_blocking(move || traces.shutdown_with_timeout(EXPORT_TIMEOUT)).await;
            if let Ok(Err(error)) = shut_down {
                tracing::warn!(%error, "the last spans could not be sent");
            }
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(traces) = self.traces.take() {
            let _ = traces.shutdown_with_timeout(EXPORT_TIMEOUT);
        }
    }
}
