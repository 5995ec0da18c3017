//! Latencies.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Up to ten minutes in microseconds, to three digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 3).expect("the bounds are in order and the digits are few")
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Percentiles {
    pub count: u64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

impl From<&Histogram<u64>> for Percentiles {
    /// From microseconds.
    fn from(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Self {
            count: histogram.len(),
            p50_ms: at(0.50),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            max_ms: histogram.max() as f64 / 1000.0,
        }
    }
}

impl Percentiles {
    /// Cells for p50, p95, p99 and the longest, in milliseconds.
    pub fn cells(&self) -> String {
        format!("{:.2} | {:.2} | {:.2} | {:.1}", self.p50_ms, self.p95_ms, self.p99_ms, self.max_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_in_milliseconds() {
        let mut times = histogram();
        for time_us in 1..=1000 {
            times.record(time_us * 1000).unwrap();
        }
        let percentiles = Percentiles::from(&times);
        assert!((percentiles.p50_ms - 500.0).abs() < 1.0);
        assert!((percentiles.p99_ms - 990.0).abs() < 1.0);
        assert_eq!(percentiles.count, 1000);
    }
}
