//! The Prometheus recorder.

use std::sync::{Mutex, OnceLock, PoisonError};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::{BuildInfo, TelemetryError};

/// Upper bounds for durations, from a memory look-up to a stuck store; milliseconds where the name ends in `_ms`, with
/// the bounds of database look-ups (5, 10, 15 and 25 ms) among them.
const SECONDS: &[f64] =
    &[0.000_5, 0.001, 0.002, 0.003, 0.005, 0.007_5, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];
const MILLISECONDS: &[f64] = &[
    0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 25.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4, 3e4,
];
/// For everything that is counted: rows of a batch, bytes of a message.
const COUNTS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 1e4, 1e5, 1e6];

static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
static INSTALLING: Mutex<()> = Mutex::new(());

/// What the process has counted, ready to be read. Clones read the same.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Installs the recorder; a later call returns the one that is there.
    pub fn install() -> Result<Self, TelemetryError> {
        let _one_at_a_time = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = INSTALLED.get() {
            return Ok(Self(handle.clone()));
        }
        let handle = recorder().map_err(TelemetryError::Metrics)?;
        Ok(Self(INSTALLED.get_or_init(|| handle).clone()))
    }

    /// In the Prometheus text format.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Folds samples into histograms. Wanted every few seconds where nobody may be scraping, or they pile up.
    pub fn run_upkeep(&self) {
        self.0.run_upkeep();
    }

    pub(crate) fn describe_build(&self, build: BuildInfo) {
        metrics::describe_gauge!("build_info", "1, labelled with the build that runs");
        metrics::gauge!("build_info", "service" => build.service, "version" => build.version, "commit" => build.commit)
            .set(1.0);
        metrics::describe_gauge!("process_start_time_seconds", "Unix time at which the process started");
        metrics::gauge!("process_start_time_seconds").set(chrono::Utc::now().timestamp_millis() as f64 / 1e3);
    }
}

fn recorder() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_ms".to_owned()), MILLISECONDS)?
        .set_buckets(COUNTS)?
        .install_recorder()
}
