//! What the process says of its health.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use holdfast_runtime::{Health, HttpConfig, HttpServer, Need, Shutdown};
use holdfast_telemetry::Metrics;
use serde_json::{Value, json};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::house::House;

async fn http(health: &Health) -> HttpServer {
    let config = HttpConfig { listen: "127.0.0.1:0".parse().unwrap() };
    HttpServer::start(&config, health.clone(), Metrics::install().unwrap()).await.unwrap()
}

async fn get(server: &HttpServer, path: &str) -> (u16, String) {
    let response = reqwest::get(format!("http://{}{path}", server.local_addr())).await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn get_json(server: &HttpServer, path: &str) -> (u16, Value) {
    let (status, body) = get(server, path).await;
    (status, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn readiness_follows_start_dependencies_and_drain() {
    let shutdown = Shutdown::new();
    let health = Health::new(&shutdown);
    let server = http(&health).await;
    let postgres = health.dependency("postgres", Need::Required);
    let redis = health.dependency("redis", Need::Optional);

    assert_eq!(get_json(&server, "/healthz").await, (200, json!({"status": "ok"})));
    assert_eq!(get_json(&server, "/startupz").await, (503, json!({"status": "starting"})));
    let starting = json!({"status": "starting", "dependencies": {"postgres": "down", "redis": "down"}});
    assert_eq!(get_json(&server, "/readyz").await, (503, starting));

    health.mark_started();
    assert_eq!(get_json(&server, "/startupz").await, (200, json!({"status": "started"})));
    let down = json!({"status": "down", "dependencies": {"postgres": "down", "redis": "down"}});
    assert_eq!(get_json(&server, "/readyz").await, (503, down));
    assert!(!health.is_ready());

    postgres.ok();
    let degraded = json!({"status": "degraded", "dependencies": {"postgres": "ok", "redis": "down"}});
    assert_eq!(get_json(&server, "/readyz").await, (200, degraded));
    assert!(health.is_ready());

    redis.ok();
    let ok = json!({"status": "ok", "dependencies": {"postgres": "ok", "redis": "ok"}});
    assert_eq!(get_json(&server, "/readyz").await, (200, ok));
    postgres.degraded(&"slow, and this text is for the log");
    let (status, body) = get(&server, "/readyz").await;
    assert_eq!(status, 200);
    assert!(body.contains("degraded") && !body.contains("slow"));

    shutdown.begin();
    let mut readiness = health.readiness();
    readiness.wait_for(|ready| !*ready).await.unwrap();
    let (status, body) = get_json(&server, "/readyz").await;
    assert_eq!((status, &body["status"]), (503, &json!("draining")));
    assert_eq!(get(&server, "/healthz").await.0, 200, "draining is not dying");
    server.close().await;
}

#[tokio::test]
async fn a_probe_tells_how_its_dependency_is() {
    let shutdown = Shutdown::new();
    let health = Health::new(&shutdown);
    health.mark_started();
    let is_up = Arc::new(AtomicBool::new(false));
    let asked = is_up.clone();
    health.probe("postgres", Need::Required, &shutdown, move || {
        let is_up = asked.load(Ordering::Relaxed);
        async move { if is_up { Ok(()) } else { Err("refused") } }
    });
    assert!(!health.is_ready());
    is_up.store(true, Ordering::Relaxed);
    health.ready().await;
    is_up.store(false, Ordering::Relaxed);
    health.readiness().wait_for(|ready| !*ready).await.unwrap();
    shutdown.begin();
}

#[tokio::test]
async fn metrics_are_scraped_over_http() {
    let health = Health::new(&Shutdown::new());
    let server = http(&health).await;
    metrics::counter!("something_total").increment(3);
    let (status, body) = get(&server, "/metrics").await;
    assert_eq!(status, 200);
    assert!(body.contains("something_total 3"), "{body}");
    server.close().await;
}

#[tokio::test]
async fn grpc_health_is_open_and_in_step() {
    let house = House::open().await;
    let mut client = HealthClient::new(house.channel().await);
    let ask = |service: &str| HealthCheckRequest { service: service.to_owned() };
    let all = ["", "holdfast.jobs.v1.JobService", "holdfast.jobs.v1.WorkerService"];
    for service in all {
        let answer = client.check(ask(service)).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::NotServing, "{service:?}");
    }
    let mut watched = client.watch(ask(all[1])).await.unwrap().into_inner();
    assert_eq!(watched.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    house.health.mark_started();
    assert_eq!(watched.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let unknown = client.check(ask("unknown.Service")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound, "as its own contract says");
    house.shutdown.begin();
    assert_eq!(watched.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert!(watched.message().await.unwrap().is_none(), "a watch does not hold up the drain");
    house.close().await;
}
