//! A client that is done is told from one that went away.

use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, SendStream, client::ResponseFuture};
use holdfast_caller::Kind;
use holdfast_proto::jobs::v1::{self as pb, worker_service_client::WorkerServiceClient};
use http::HeaderMap;
use prost::Message as _;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;

use crate::house::{House, with_token};

const WITHIN: Duration = Duration::from_secs(30);

/// A call over HTTP/2 as it is, on a connection of its own, which lasts as long as this.
struct Call {
    messages: SendStream<Bytes>,
    response: ResponseFuture,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Call {
    async fn open(house: &House, ends_at_once: bool) -> Self {
        let tcp = tokio::net::TcpStream::connect(house.address).await.unwrap();
        let (client, connection) = h2::client::handshake(tcp).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = http::Request::post(format!("http://{}/holdfast.jobs.v1.WorkerService/Work", house.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", format!("Bearer {}", house.token(Kind::Worker)))
            .body(())
            .unwrap();
        let (response, messages) = client.ready().await.unwrap().send_request(request, ends_at_once).unwrap();
        Self { messages, response, connection }
    }

    /// Open, and the method runs.
    async fn entered(house: &House) -> Self {
        let mut call = Self::open(house, false).await;
        assert!((&mut call.response).await.unwrap().status().is_success());
        call
    }
}

fn heartbeat() -> pb::WorkRequest {
    pb::WorkRequest { message: Some(pb::work_request::Message::Heartbeat(Default::default())) }
}

fn framed(message: &pb::WorkRequest) -> Bytes {
    let message = message.encode_to_vec();
    let mut frame = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
    frame.extend(message);
    frame.into()
}

/// What the method saw at the end of the client's messages.
async fn seen(house: &House) -> bool {
    let mut seen = house.business.half_close_seen.subscribe();
    let seen = tokio::time::timeout(WITHIN, seen.wait_for(Option::is_some)).await;
    seen.expect("the stream should have ended").unwrap().unwrap()
}

#[tokio::test]
async fn a_half_close_is_seen_wherever_it_rides() {
    for way in ["headers", "last message", "empty data", "data behind a message", "trailers"] {
        let house = House::open().await;
        let call = if way == "headers" { Call::open(&house, true).await } else { Call::entered(&house).await };
        let Call { mut messages, response, connection } = call;
        match way {
            "last message" => messages.send_data(framed(&heartbeat()), true).unwrap(),
            "empty data" => messages.send_data(Bytes::new(), true).unwrap(),
            "data behind a message" => {
                messages.send_data(framed(&heartbeat()), false).unwrap();
                messages.send_data(Bytes::new(), true).unwrap();
            }
            "trailers" => {
                messages.send_data(framed(&heartbeat()), false).unwrap();
                messages.send_trailers(HeaderMap::new()).unwrap();
            }
            _ => {}
        }
        assert!(seen(&house).await, "{way}");
        drop((messages, response));
        connection.abort();
        house.close().await;
    }
}

#[tokio::test]
async fn a_reset_is_no_half_close() {
    for reason in [Reason::CANCEL, Reason::NO_ERROR, Reason::INTERNAL_ERROR] {
        for after_a_message in [false, true] {
            let house = House::open().await;
            let mut call = Call::entered(&house).await;
            if after_a_message {
                call.messages.send_data(framed(&heartbeat()), false).unwrap();
            }
            call.messages.send_reset(reason);
            assert!(!seen(&house).await, "{reason:?}, after a message: {after_a_message}");
            drop((call.messages, call.response));
            call.connection.abort();
            house.close().await;
        }
    }
}

#[tokio::test]
async fn a_broken_connection_is_no_half_close() {
    let house = House::open().await;
    let call = Call::entered(&house).await;
    call.connection.abort();
    assert!(!seen(&house).await);
    house.close().await;
}

#[tokio::test]
async fn a_client_of_the_library_is_done_once_its_sender_is_dropped() {
    let house = House::open().await;
    let (messages, outbound) = tokio::sync::mpsc::channel(1);
    let request = with_token(ReceiverStream::new(outbound), &house.token(Kind::Worker));
    let mut inbound = house.workers().await.work(request).await.unwrap().into_inner();
    assert!(inbound.message().await.unwrap().is_some());
    messages.send(heartbeat()).await.unwrap();
    drop(messages);
    assert!(seen(&house).await);
    drop(inbound);
    house.close().await;
}

/// As when its process ends.
#[tokio::test]
async fn a_client_of_the_library_whose_runtime_ends_is_not_done() {
    let house = House::open().await;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (messages, outbound) = tokio::sync::mpsc::channel(1);
    let request = with_token(ReceiverStream::new(outbound), &house.token(Kind::Worker));
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", house.address)).unwrap();
    let opened = runtime.spawn(async move {
        let channel = endpoint.connect().await.unwrap();
        WorkerServiceClient::new(channel).work(request).await.unwrap().into_inner()
    });
    let inbound = opened.await.unwrap();
    messages.send(heartbeat()).await.unwrap();
    runtime.shutdown_background();
    assert!(!seen(&house).await);
    drop((messages, inbound));
    house.close().await;
}
