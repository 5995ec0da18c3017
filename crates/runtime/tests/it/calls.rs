//! What surrounds a call.

use std::time::Duration;

use holdfast_caller::{Kind, Role, issuer::TokenSpec};
use holdfast_fault::{Reason, Received};
use holdfast_ids::{ActorId, TenantId};
use holdfast_proto::jobs::v1 as pb;
use holdfast_runtime::{Access, AccessError, Server, ServerError};
use holdfast_telemetry::Metrics;
use tonic::{Code, Request, Status, client::Grpc, codegen::http::uri::PathAndQuery};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::house::{ACCESS, House, config, verifier, with_token};

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn reason(status: &Status) -> Option<Reason> {
    Received::from_status(status).reason
}

#[tokio::test]
async fn a_good_call_passes_with_its_context() {
    let house = House::open().await;
    let mut request = house.submission("ok");
    request.metadata_mut().insert("x-request-id", "req-42".parse().unwrap());
    request.metadata_mut().insert("traceparent", TRACEPARENT.parse().unwrap());
    let response = house.jobs().await.submit_job(request).await.unwrap();
    assert_eq!(response.metadata().get("x-request-id").unwrap(), "req-42");
    assert_eq!(response.get_ref().job_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    house.close().await;
}

#[tokio::test]
async fn ids_are_made_where_the_client_sends_none() {
    let house = House::open().await;
    let response = house.jobs().await.submit_job(house.submission("ok")).await.unwrap();
    assert_eq!(response.metadata().get("x-request-id").unwrap().len(), 36);
    assert_eq!(response.get_ref().job_id.len(), 32);
    house.close().await;
}

#[tokio::test]
async fn a_failed_call_has_every_detail() {
    let house = House::open().await;
    let mut request = house.submission("fault");
    request.metadata_mut().insert("x-request-id", "req-43".parse().unwrap());
    request.metadata_mut().insert("traceparent", TRACEPARENT.parse().unwrap());
    let status = house.jobs().await.submit_job(request).await.unwrap_err();
    let received = Received::from_status(&status);
    assert_eq!((received.code, received.reason), (Code::Unavailable, Some(Reason::Job503QueueUnavailable)));
    assert_eq!(received.metadata["project_id"], "alpha");
    assert_eq!(received.retry_after, Some(Duration::from_secs(1)));
    assert_eq!(received.request_id.as_deref(), Some("req-43"));
    assert_eq!(received.trace_id.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    assert_eq!(status.metadata().get("x-request-id").unwrap(), "req-43");
    house.close().await;
}

#[tokio::test]
async fn defects_say_nothing_and_stop_nothing() {
    let house = House::open().await;
    let mut jobs = house.jobs().await;
    for key in ["defect", "panic"] {
        let status = jobs.submit_job(house.submission(key)).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::Internal, "unexpected error"), "{key}");
        assert_eq!(reason(&status), Some(Reason::Internal500Unexpected), "{key}");
        assert!(Received::from_status(&status).request_id.is_some());
        let sent = format!("{status:?}") + &String::from_utf8_lossy(status.details());
        assert!(!sent.contains("secret") && !sent.contains("deliberate"), "{sent}");
    }
    assert!(jobs.submit_job(house.submission("ok")).await.is_ok(), "on the same connection");
    house.close().await;
}

#[tokio::test]
async fn no_token_no_call() {
    let house = House::open().await;
    let mut jobs = house.jobs().await;
    let status = jobs.submit_job(Request::new(pb::SubmitJobRequest::default())).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::Unauthenticated, Some(Reason::Auth401MissingToken)));
    let status = jobs.submit_job(with_token(pb::SubmitJobRequest::default(), "x.y.z")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::Unauthenticated, Some(Reason::Auth401InvalidToken)));
    assert!(Received::from_status(&status).request_id.is_some());
    house.close().await;
}

#[tokio::test]
async fn identity_comes_before_the_body() {
    let house = House::open().await;
    let mut workers = house.workers().await;
    // The body never ends, and nobody waits for it.
    let status = workers.work(tokio_stream::pending::<pb::WorkRequest>()).await.unwrap_err();
    assert_eq!(reason(&status), Some(Reason::Auth401MissingToken));
    house.close().await;
}

#[tokio::test]
async fn kinds_and_roles_are_held_to_the_table() {
    let house = House::open().await;
    let mut jobs = house.jobs().await;
    for kind in [Kind::Agent, Kind::Worker] {
        let request = with_token(pb::GetJobRequest::default(), &house.token(kind));
        let status = jobs.get_job(request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status)), (Code::PermissionDenied, Some(Reason::Auth403Role)), "{kind:?}");
    }
    let (jane, gateway) = (ActorId::parse("jane").unwrap(), ActorId::parse("gateway").unwrap());
    let acme = TenantId::parse("acme").unwrap();
    let viewer = house.issuer.issue(TokenSpec::user(jane.clone(), acme.clone(), Role::Viewer));
    let status = jobs.get_job(with_token(pb::GetJobRequest::default(), &viewer)).await.unwrap_err();
    assert_eq!(reason(&status), Some(Reason::Auth403Role));

    let on_behalf = |role| TokenSpec {
        act: Some(gateway.clone()),
        roles: [role].into(),
        ..TokenSpec::service(jane.clone(), acme.clone())
    };
    let request = with_token(pb::GetJobRequest::default(), &house.issuer.issue(on_behalf(Role::Viewer)));
    assert_eq!(reason(&jobs.get_job(request).await.unwrap_err()), Some(Reason::Auth403Role), "no more than its user");
    let request = with_token(pb::GetJobRequest::default(), &house.issuer.issue(on_behalf(Role::Owner)));
    assert!(jobs.get_job(request).await.is_ok());
    let request = with_token(pb::GetJobRequest::default(), &house.token(Kind::Service));
    assert!(jobs.get_job(request).await.is_ok(), "for itself");
    house.close().await;
}

#[tokio::test]
async fn a_large_request_is_refused_by_the_catalogue() {
    let house = House::open().await;
    let of_size = |bytes: usize| {
        let payload = Some(pb::Payload { data: vec![7; bytes].into(), ..Default::default() });
        house.asked(pb::SubmitJobRequest { payload, ..Default::default() })
    };
    let mut jobs = house.jobs().await;
    assert!(jobs.submit_job(of_size(1024 * 1024)).await.is_ok());
    let status = jobs.submit_job(of_size(1024 * 1024 + 8192)).await.unwrap_err();
    let received = Received::from_status(&status);
    assert_eq!((received.code, received.reason), (Code::InvalidArgument, Some(Reason::Req400InvalidSchema)));
    assert_eq!(received.violations[0].field, "request");
    assert!(received.request_id.is_some());
    house.close().await;
}

#[tokio::test]
async fn what_cannot_be_decoded_is_refused_by_the_catalogue() {
    let house = House::open().await;
    let mut raw = Grpc::new(house.channel().await);
    raw.ready().await.unwrap();
    // Field 1 of SubmitJobRequest is a string; this says it is one that is longer than the message.
    let codec = tonic_prost::ProstCodec::<Garbage, pb::SubmitJobResponse>::default();
    let path = PathAndQuery::from_static("/holdfast.jobs.v1.JobService/SubmitJob");
    let status = raw.unary(house.asked(Garbage), path, codec).await.unwrap_err();
    let received = Received::from_status(&status);
    assert_eq!((received.code, received.reason), (Code::InvalidArgument, Some(Reason::Req400InvalidSchema)));
    assert_eq!(received.violations[0].description, "cannot be decoded");
    house.close().await;
}

/// Encodes to bytes that are no protobuf message.
#[derive(Debug, Default)]
struct Garbage;

impl prost::Message for Garbage {
    fn encode_raw(&self, buffer: &mut impl prost::bytes::BufMut) {
        buffer.put_slice(&[0x0a, 0x7f, 0x01]);
    }

    fn merge_field(
        &mut self,
        _: u32,
        _: prost::encoding::WireType,
        _: &mut impl prost::bytes::Buf,
        _: prost::encoding::DecodeContext,
    ) -> Result<(), prost::DecodeError> {
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        3
    }

    fn clear(&mut self) {}
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let house = House::open().await;
    for path in ["/holdfast.jobs.v1.JobService/Nothing", "/holdfast.jobs.v1.IdempotencyService/GetKey", "/x"] {
        let mut raw = Grpc::new(house.channel().await);
        raw.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<pb::GetJobRequest, pb::GetJobResponse>::default();
        let request = house.asked(pb::GetJobRequest::default());
        let status = raw.unary(request, PathAndQuery::from_static(path), codec).await.unwrap_err();
        assert_eq!((status.code(), reason(&status)), (Code::Unimplemented, None), "{path}");
        assert!(Received::from_status(&status).request_id.is_some());
    }
    house.close().await;
}

#[tokio::test]
async fn a_deadline_ends_a_unary_call_with_a_reason() {
    let house = House::open().await;
    let tcp = tokio::net::TcpStream::connect(house.address).await.unwrap();
    let (client, connection) = h2::client::handshake(tcp).await.unwrap();
    let connection = tokio::spawn(connection);
    // tonic's client would answer by its own timer, before the server does.
    let request = http::Request::post(format!("http://{}/holdfast.jobs.v1.JobService/SubmitJob", house.address))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}", house.token(Kind::User)))
        .header("grpc-timeout", "50m")
        .body(())
        .unwrap();
    let mut client = client.ready().await.unwrap();
    let (response, mut body) = client.send_request(request, false).unwrap();
    let message = prost::Message::encode_to_vec(&house.submission("hang").into_inner());
    let mut frame = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
    frame.extend(message);
    body.send_data(frame.into(), true).unwrap();
    let response = response.await.unwrap();
    let status = Status::from_header_map(response.headers()).unwrap();
    assert_eq!((status.code(), reason(&status)), (Code::DeadlineExceeded, Some(Reason::Req408Deadline)));
    assert!(Received::from_status(&status).request_id.is_some());
    drop((client, response, body));
    connection.abort();
    house.close().await;
}

#[tokio::test]
async fn the_servers_cap_ends_a_call_without_a_deadline() {
    let house = House::open_with(holdfast_runtime::GrpcConfig { deadline_max_ms: 50, ..config() }).await;
    let status = house.jobs().await.submit_job(house.submission("hang")).await.unwrap_err();
    assert_eq!(reason(&status), Some(Reason::Req408Deadline));
    house.close().await;
}

/// A client that has much to do at once, over the one connection that it has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_calls_as_one_connection_may_have_come_at_once() {
    let house = House::open().await;
    let jobs = house.jobs().await;
    let calls = (0..config().concurrent_streams_max).map(|_| {
        let (mut jobs, submission) = (jobs.clone(), house.submission("fine"));
        tokio::spawn(async move { jobs.submit_job(submission).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    house.close().await;
}

#[tokio::test]
async fn a_stream_fails_in_its_trailers_with_every_detail() {
    let house = House::open_with(holdfast_runtime::GrpcConfig { deadline_max_ms: 1, ..config() }).await;
    let (messages, outbound) = tokio::sync::mpsc::channel(1);
    let mut request = with_token(tokio_stream::wrappers::ReceiverStream::new(outbound), &house.token(Kind::Worker));
    request.metadata_mut().insert("x-request-id", "req-44".parse().unwrap());
    let response = house.workers().await.work(request).await.unwrap();
    assert_eq!(response.metadata().get("x-request-id").unwrap(), "req-44");
    let mut inbound = response.into_inner();
    assert!(inbound.message().await.unwrap().is_some());
    messages.send(pb::WorkRequest::default()).await.unwrap();
    let status = inbound.message().await.unwrap_err();
    let received = Received::from_status(&status);
    assert_eq!((received.reason, received.request_id.as_deref()), (Some(Reason::Job409StaleFence), Some("req-44")));
    assert_eq!(status.metadata().get("x-request-id").unwrap(), "req-44");
    house.close().await;
}

#[tokio::test]
async fn a_large_message_in_a_stream_is_refused_by_the_catalogue() {
    let house = House::open().await;
    let note = "x".repeat(1024 * 1024 + 8192);
    let hello = pb::work_request::Hello { worker_id: note, ..Default::default() };
    let message = pb::WorkRequest { message: Some(pb::work_request::Message::Hello(hello)) };
    let request = with_token(tokio_stream::iter([message]), &house.token(Kind::Worker));
    let mut inbound = house.workers().await.work(request).await.unwrap().into_inner();
    assert!(inbound.message().await.unwrap().is_some());
    let status = inbound.message().await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::InvalidArgument, Some(Reason::Req400InvalidSchema)));
    house.close().await;
}

#[tokio::test]
async fn reflection_is_open_and_complete() {
    let house = House::open().await;
    let mut client = ServerReflectionClient::new(house.channel().await);
    let ask =
        |message_request| ServerReflectionRequest { message_request: Some(message_request), ..Default::default() };
    let asked = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("holdfast.jobs.v1.JobService".to_owned())),
        ask(MessageRequest::FileContainingSymbol("google.rpc.Status".to_owned())),
        ask(MessageRequest::FileByFilename("google/protobuf/timestamp.proto".to_owned())),
        ask(MessageRequest::FileContainingSymbol("grpc.health.v1.Health".to_owned())),
    ];
    let mut answers = client.server_reflection_info(tokio_stream::iter(asked)).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("a list of services was asked for");
    };
    let mut services: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    services.sort();
    assert_eq!(
        services,
        [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
            "holdfast.jobs.v1.JobService",
            "holdfast.jobs.v1.WorkerService",
        ]
    );
    for _ in 0..4 {
        let answer = answers.message().await.unwrap().unwrap().message_response;
        assert!(matches!(answer, Some(MessageResponse::FileDescriptorResponse(_))), "{answer:?}");
    }
    house.close().await;
}

/// Of which many clients still know no other.
#[tokio::test]
async fn reflection_answers_in_its_first_version_too() {
    use tonic_reflection::pb::v1alpha as first;
    let house = House::open().await;
    let mut client = first::server_reflection_client::ServerReflectionClient::new(house.channel().await);
    let symbol = first::server_reflection_request::MessageRequest::FileContainingSymbol(
        "holdfast.jobs.v1.JobService".to_owned(),
    );
    let request = first::ServerReflectionRequest { message_request: Some(symbol), ..Default::default() };
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response;
    let Some(first::server_reflection_response::MessageResponse::FileDescriptorResponse(_)) = answer else {
        panic!("not a descriptor: {answer:?}");
    };
    house.close().await;
}

#[tokio::test]
async fn calls_are_counted_by_method_and_code() {
    let metrics = Metrics::install().unwrap();
    let house = House::open().await;
    let request = house.asked(pb::CancelJobRequest::default());
    house.jobs().await.cancel_job(request).await.unwrap();
    let refused = house.jobs().await.cancel_job(Request::new(pb::CancelJobRequest::default())).await;
    assert!(refused.is_err());
    let text = metrics.render();
    for code in ["OK", "UNAUTHENTICATED"] {
        let labels =
            format!(r#"{{grpc_service="holdfast.jobs.v1.JobService",grpc_method="CancelJob",grpc_code="{code}"}} 1"#);
        assert!(text.contains(&format!("grpc_server_handled_total{labels}")), "{code}: {text}");
        assert!(text.contains(&format!("grpc_server_handling_seconds_count{labels}")), "{code}: {text}");
    }
    house.close().await;
}

#[tokio::test]
async fn the_access_table_must_fit_the_contracts() {
    let dir = tempfile::TempDir::new().unwrap();
    let issuer = holdfast_caller::issuer::DevIssuer::generate().unwrap();
    let verifier = verifier(&issuer, &dir).await;
    let refusal = |table: Vec<Access>| match Server::bind(config(), verifier.clone(), Vec::leak(table)) {
        Err(ServerError::Access(error)) => error,
        _ => panic!("the table should be refused"),
    };
    let without_first = refusal(ACCESS[1..].to_vec());
    assert!(matches!(without_first, AccessError::Missing(path) if path == "/holdfast.jobs.v1.JobService/SubmitJob"));
    let twice = refusal([ACCESS, &ACCESS[..1]].concat());
    assert!(matches!(twice, AccessError::Duplicate("/holdfast.jobs.v1.JobService/SubmitJob")));
    let invented = Access { method: "/holdfast.jobs.v1.JobService/Invented", ..ACCESS[0] };
    assert!(matches!(refusal([ACCESS, &[invented]].concat()), AccessError::Unknown(_)));
}
