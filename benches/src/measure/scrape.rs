//! Times as a service counts them itself, in histograms on /metrics: look-ups of the jobs service, transactions of the locks
//! service.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueryTimes {
    /// What the histogram's label says.
    pub query: String,
    /// Upper bounds in milliseconds and how many took no longer, as Prometheus counts; without the infinite one.
    pub buckets: Vec<(f64, u64)>,
    pub count: u64,
    pub sum_ms: f64,
}

/// Statements of the jobs service.
pub fn query_times(page: &str) -> Vec<QueryTimes> {
    histograms(page, "jobs_query_ms", "query")
}

/// Of a metric with one label.
pub fn histograms(page: &str, metric: &str, by: &str) -> Vec<QueryTimes> {
    let mut found = BTreeMap::<String, QueryTimes>::new();
    for line in page.lines() {
        let series = line.strip_prefix(metric).and_then(|line| line.strip_prefix('_'));
        let Some((series, value)) = series.and_then(|line| line.rsplit_once(' ')) else { continue };
        let Some((kind, labels)) = series.split_once('{') else { continue };
        let Some(query) = label(labels, by).filter(|_| ["count", "sum", "bucket"].contains(&kind)) else { continue };
        let times = found.entry(query.to_owned()).or_insert_with(|| QueryTimes {
            query: query.to_owned(),
            buckets: Vec::new(),
            count: 0,
            sum_ms: 0.0,
        });
        match kind {
            "count" => times.count = value.parse().unwrap_or_default(),
            "sum" => times.sum_ms = value.parse().unwrap_or_default(),
            "bucket" => {
                let bound =
                    label(labels, "le").and_then(|bound| bound.parse().ok()).filter(|bound: &f64| bound.is_finite());
                times.buckets.extend(bound.zip(value.parse().ok()));
            }
            _ => {}
        }
    }
    found.into_values().collect()
}

fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = labels.split_once(&format!("{name}=\""))?;
    rest.split('"').next()
}

impl QueryTimes {
    /// What came on top of an earlier look.
    pub fn since(&self, earlier: &[Self]) -> Self {
        let Some(earlier) = earlier.iter().find(|times| times.query == self.query) else { return self.clone() };
        let buckets = self.buckets.iter().zip(&earlier.buckets);
        Self {
            query: self.query.clone(),
            buckets: buckets.map(|((bound, count), (_, before))| (*bound, count - before)).collect(),
            count: self.count - earlier.count,
            sum_ms: self.sum_ms - earlier.sum_ms,
        }
    }

    pub fn mean_ms(&self) -> f64 {
        self.sum_ms / self.count.max(1) as f64
    }

    /// The bound that this share stayed under; None beyond the last.
    pub fn under_ms(&self, quantile: f64) -> Option<f64> {
        let wanted = quantile * self.count as f64;
        self.buckets.iter().find(|(_, count)| *count as f64 >= wanted).map(|(bound, _)| *bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"# TYPE jobs_query_ms histogram
jobs_query_ms_bucket{query="job_by_id",le="0.5"} 90
jobs_query_ms_bucket{query="job_by_id",le="1"} 99
jobs_query_ms_bucket{query="job_by_id",le="+Inf"} 100
jobs_query_ms_sum{query="job_by_id"} 40.5
jobs_query_ms_count{query="job_by_id"} 100
jobs_pickup_ms_count 3
"#;

    #[test]
    fn a_page_is_understood() {
        let [times] = &query_times(PAGE)[..] else { panic!("one query") };
        assert_eq!((times.query.as_str(), times.count, times.mean_ms()), ("job_by_id", 100, 0.405));
        assert_eq!((times.under_ms(0.5), times.under_ms(0.95), times.under_ms(0.999)), (Some(0.5), Some(1.0), None));
    }

    #[test]
    fn a_metric_and_its_label_are_named() {
        let page = PAGE.replace("jobs_query_ms", "locks_batch_ms").replace("query=", "kind=");
        assert_eq!(histograms(&page, "locks_batch_ms", "kind")[0].count, 100);
        assert_eq!((histograms(&page, "locks_batch", "kind"), query_times(&page)), (vec![], vec![]));
    }

    #[test]
    fn an_earlier_look_is_taken_off() {
        let earlier = query_times(PAGE);
        let later =
            PAGE.replace("} 90", "} 95").replace("} 99", "} 109").replace("} 100", "} 110").replace("40.5", "50.5");
        let since = query_times(&later)[0].since(&earlier);
        assert_eq!((since.count, since.sum_ms, since.buckets), (10, 10.0, vec![(0.5, 5), (1.0, 10)]));
        assert_eq!(query_times(PAGE)[0].since(&[]).count, 100);
    }
}
