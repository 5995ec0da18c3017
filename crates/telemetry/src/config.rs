//! The `[telemetry]` section.

use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// Filter directives: `info`, or `info,holdfast_jobs=debug`.
    pub level: String,
    pub format: LogFormat,
    pub otlp: OtlpConfig,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Json, otlp: OtlpConfig::default() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// For a terminal.
    Text,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OtlpConfig {
    /// `http://collector:4317`; empty turns traces off.
    pub endpoint: String,
    /// Share of the traces that begin here and are recorded, 0 to 1. A trace that began elsewhere keeps its decision.
    pub sample_ratio: f64,
}

impl Default for OtlpConfig {
    fn default() -> Self {
        Self { endpoint: String::new(), sample_ratio: 0.1 }
    }
}
