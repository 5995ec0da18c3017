//! Log lines as JSON objects, one a line.
//!
//! timestamp (UTC, milliseconds), level, service_name, target, message, then request_id, trace_id and span_id of the call
//! in scope, then the fields of the enclosing spans and of the event; the innermost value of a name wins.

use std::{error::Error, fmt};

use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    fmt::{
        FmtContext, FormatEvent, FormattedFields, MakeWriter,
        format::{JsonFields, Writer},
    },
    registry::LookupSpan,
};

use crate::context;

pub(crate) fn json_layer<S, W>(service_name: &'static str, writer: W) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(JsonLines { service_name })
        .with_writer(writer)
}

struct JsonLines {
    service_name: &'static str,
}

impl<S> FormatEvent<S, JsonFields> for JsonLines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        line.insert("timestamp".to_owned(), now.into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("service_name".to_owned(), self.service_name.into());
        line.insert("target".to_owned(), event.metadata().target().into());
        line.insert("message".to_owned(), Value::String(String::new()));
        if let Some(call) = context::current() {
            line.insert("request_id".to_owned(), call.request_id.as_str().into());
            line.insert("trace_id".to_owned(), call.trace.trace_id_hex().into());
            line.insert("span_id".to_owned(), call.trace.span_id_hex().into());
        }
        for span in ctx.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<FormattedFields<JsonFields>>()
                && let Ok(Value::Object(fields)) = serde_json::from_str(&fields.fields)
            {
                line.extend(fields);
            }
        }
        event.record(&mut Fields(&mut line));
        let line = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        // Bookkeeping of the bridge from the `log` crate.
        if !field.name().starts_with("log.") {
            self.0.insert(field.name().to_owned(), value.into());
        }
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut next = value.source();
        while let Some(error) = next {
            text.push_str(": ");
            text.push_str(&error.to_string());
            next = error.source();
        }
        self.put(field, text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use holdfast_ids::RequestId;
    use tracing_subscriber::{Registry, layer::SubscriberExt as _};

    use super::*;
    use crate::context::{CallIds, TraceContext, scope};

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(say: impl FnOnce()) -> Vec<Map<String, Value>> {
        let captured = Captured::default();
        let writer = captured.clone();
        let layer = json_layer("holdfast-test", move || writer.clone());
        tracing::subscriber::with_default(Registry::default().with(layer), say);
        let bytes = captured.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_holds_what_the_rules_ask_for() {
        let lines = lines(|| {
            let source = io::Error::other("disk full");
            let error: &(dyn Error + 'static) = &source;
            tracing::warn!(job_id = %"j-1", error_code = "X", duration_ms = 12_u64, ok = false, error, "it \"broke\"\n");
        });
        let line = &lines[0];
        let timestamp = line["timestamp"].as_str().unwrap();
        assert_eq!(timestamp.len(), "2026-01-02T03:04:05.678Z".len());
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["service_name"], "holdfast-test");
        assert_eq!(line["message"], "it \"broke\"\n");
        assert_eq!(line["job_id"], "j-1");
        assert_eq!(line["error_code"], "X");
        assert_eq!(line["duration_ms"], 12);
        assert_eq!(line["ok"], false);
        assert_eq!(line["error"], "disk full");
        assert!(!line.contains_key("request_id"));
    }

    #[test]
    fn a_line_belongs_to_the_call_in_scope() {
        let trace = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        let ids = Arc::new(CallIds { request_id: RequestId::parse("req-7").unwrap(), trace });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let lines = lines(|| runtime.block_on(scope(ids, async { tracing::info!("within") })));
        assert_eq!(lines[0]["request_id"], "req-7");
        assert_eq!(lines[0]["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(lines[0]["span_id"], "00f067aa0ba902b7");
    }

    #[test]
    fn the_innermost_value_of_a_name_wins() {
        let lines = lines(|| {
            let _outer = tracing::info_span!("task", task = "sweep", step = 1).entered();
            let _inner = tracing::info_span!("step", step = 2).entered();
            tracing::info!(step = 3, "done");
        });
        assert_eq!(lines[0]["task"], "sweep");
        assert_eq!(lines[0]["step"], 3);
    }
}
