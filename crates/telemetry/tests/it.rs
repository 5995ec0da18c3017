use holdfast_telemetry::{
    BuildInfo, Metrics, OtlpConfig, TelemetryConfig, TelemetryError, call_span, context::TraceContext, start,
};

#[test]
fn traceparent_is_read_and_written() {
    let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let trace = TraceContext::parse(header).unwrap();
    assert!(trace.sampled);
    assert_eq!(trace.to_string(), header);
    assert_eq!(TraceContext::parse(&format!("01{}-more", &header[2..])), Some(trace), "a later version may add fields");
    let fresh = TraceContext::fresh();
    assert_eq!(TraceContext::parse(&fresh.to_string()), Some(fresh));
}

#[test]
fn a_malformed_traceparent_is_none() {
    for bad in [
        "",
        "00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
        "00-4bf92f3577b34da6a3ce929d0e0e47360-0f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473ü-00f067aa0ba902b7-01",
    ] {
        assert_eq!(TraceContext::parse(bad), None, "{bad:?}");
    }
}

/// One test, because a process has one subscriber and one recorder.
#[tokio::test]
async fn the_process_starts_once_with_what_it_was_told() {
    let build = BuildInfo::new("holdfast-test", "1.2.3");
    let otlp = |endpoint: &str, sample_ratio| OtlpConfig { endpoint: endpoint.to_owned(), sample_ratio };
    let bad_level = TelemetryConfig { level: "lo=u=d".to_owned(), ..Default::default() };
    assert!(matches!(start(build, &bad_level), Err(TelemetryError::Level(_))));
    let bad_ratio = TelemetryConfig { otlp: otlp("", 1.5), ..Default::default() };
    assert!(matches!(start(build, &bad_ratio), Err(TelemetryError::SampleRatio)));
    let bad_endpoint = TelemetryConfig { otlp: otlp("no url", 1.0), ..Default::default() };
    assert!(matches!(start(build, &bad_endpoint), Err(TelemetryError::Endpoint(_))));
    assert!(call_span("/a/b", None).is_none(), "no collector, no spans");

    // A collector that is away costs nothing but the spans.
    let config = TelemetryConfig { otlp: otlp("http://127.0.0.1:1", 1.0), ..Default::default() };
    let (guard, metrics) = start(build, &config).unwrap();
    let parent = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    let (_span, child) = call_span("/holdfast.jobs.v1.JobService/GetJob", Some(parent)).unwrap();
    assert_eq!((child.trace_id, child.sampled), (parent.trace_id, true));
    assert_ne!(child.span_id, parent.span_id);
    let unsampled = TraceContext { sampled: false, ..parent };
    assert!(!call_span("/a/b", Some(unsampled)).unwrap().1.sampled, "the parent decides");
    assert!(call_span("/a/b", None).unwrap().1.sampled, "the ratio decides where there is no parent");
    assert!(matches!(start(build, &config), Err(TelemetryError::AlreadyStarted(_))));

    metrics::histogram!("wait_seconds").record(0.004);
    metrics::histogram!("acquire_ms").record(4.0);
    metrics::counter!("outbox.pending_count").increment(2);
    let text = Metrics::install().unwrap().render();
    assert_eq!(text.lines().count(), metrics.render().lines().count());
    assert!(text.contains(r#"build_info{service="holdfast-test",version="1.2.3",commit=""#), "{text}");
    assert!(text.contains(r#"wait_seconds_bucket{le="0.005"} 1"#), "{text}");
    assert!(text.contains(r#"acquire_ms_bucket{le="5"} 1"#), "{text}");
    assert!(text.contains("outbox_pending_count 2"), "{text}");
    drop(_span);
    tokio::time::timeout(std::time::Duration::from_secs(20), guard.flush()).await.unwrap();
}
