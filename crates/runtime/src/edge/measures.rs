//! Counters and histograms of one method, made once for each code that it ever ended with.

use std::{sync::OnceLock, time::Duration};

use metrics::{Counter, Histogram, counter, histogram};
use tonic::Code;

use crate::methods::code_name;

const CODES: usize = 17;

struct Handles {
    handled: Counter,
    seconds: Histogram,
}

pub(crate) struct Measures {
    service: String,
    method: String,
    by_code: [OnceLock<Handles>; CODES],
}

impl Measures {
    pub(crate) fn new(service: &str, method: &str) -> Self {
        Self { service: service.to_owned(), method: method.to_owned(), by_code: [const { OnceLock::new() }; CODES] }
    }

    /// For streams the duration is that of the whole stream.
    pub(crate) fn record(&self, code: Code, duration: Duration) {
        let handles = self.by_code[code as usize].get_or_init(|| self.handles(code));
        handles.handled.increment(1);
        handles.seconds.record(duration.as_secs_f64());
    }

    fn handles(&self, code: Code) -> Handles {
        let labels = [
            ("grpc_service", self.service.clone()),
            ("grpc_method", self.method.clone()),
            ("grpc_code", code_name(code).to_owned()),
        ];
        Handles {
            handled: counter!("grpc_server_handled_total", &labels),
            seconds: histogram!("grpc_server_handling_seconds", &labels),
        }
    }
}

pub(crate) fn describe() {
    metrics::describe_counter!("grpc_server_handled_total", "Calls ended, by method and code");
    metrics::describe_histogram!(
        "grpc_server_handling_seconds",
        metrics::Unit::Seconds,
        "From the arrival of a call to its end, by method and code"
    );
}
