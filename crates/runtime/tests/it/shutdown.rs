//! How a server stops.

use std::time::Duration;

use holdfast_caller::Kind;
use holdfast_fault::{Reason, Received};
use holdfast_proto::jobs::v1 as pb;
use holdfast_runtime::GrpcConfig;

use crate::house::{House, config, with_token};

#[tokio::test]
async fn what_runs_may_finish_and_nothing_new_comes_in() {
    let house = House::open().await;
    let mut jobs = house.jobs().await;
    let request = house.submission("wait");
    let running = tokio::spawn(async move { jobs.submit_job(request).await });
    house.business.entered.notified().await;
    house.shutdown.begin();
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", house.address)).unwrap();
    let refused = async { while endpoint.connect().await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(10), refused).await.expect("the port closes");
    assert!(!running.is_finished());
    house.business.go_on.notify_one();
    assert!(running.await.unwrap().is_ok());
    house.close().await;
}

#[tokio::test]
async fn streams_are_told_and_end_by_themselves() {
    let house = House::open().await;
    let request = with_token(tokio_stream::pending::<pb::WorkRequest>(), &house.token(Kind::Worker));
    let mut inbound = house.workers().await.work(request).await.unwrap().into_inner();
    assert!(inbound.message().await.unwrap().is_some());
    house.shutdown.begin();
    let status = inbound.message().await.unwrap_err();
    assert_eq!(Received::from_status(&status).reason, Some(Reason::Infra503Draining));
    house.close().await;
}

#[tokio::test]
async fn the_drain_is_bounded() {
    let house = House::open_with(GrpcConfig { drain_timeout_ms: 100, ..config() }).await;
    let mut jobs = house.jobs().await;
    let request = house.submission("wait");
    let running = tokio::spawn(async move { jobs.submit_job(request).await });
    house.business.entered.notified().await;
    house.close().await;
    running.abort();
}
