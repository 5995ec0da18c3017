//! The gRPC server.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use holdfast_caller::Verifier;
use holdfast_proto::FILE_DESCRIPTOR_SET;
use http::header::AUTHORIZATION;
use tonic::{
    service::Routes,
    transport::{Identity, ServerTlsConfig, server::TcpIncoming},
};
use tonic_health::{ServingStatus, server::HealthReporter};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;

use crate::{
    REQUEST_BYTES_MAX,
    access::Access,
    config::{ConfigError, GrpcConfig},
    edge::{EdgeLayer, measures},
    health::Health,
    methods::{AccessError, Methods},
    shutdown::Shutdown,
};

/// The largest request, so that it comes without a wait for leave.
const STREAM_WINDOW: u32 = REQUEST_BYTES_MAX as u32;
const CONNECTION_WINDOW_MIN: u32 = 4 * STREAM_WINDOW;
/// Two small frames waiting for each call.
const WINDOW_PER_CALL: u32 = 1024;
/// Beyond the drain, for calls that end by themselves at its end to say why.
const LAST_WORDS: Duration = Duration::from_millis(500);

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("the access table does not fit the contracts: {0}")]
    Access(#[from] AccessError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("grpc.listen: {address}: {error}")]
    Listen { address: SocketAddr, error: io::Error },
    #[error("grpc.tls: {0}")]
    Tls(tonic::transport::Error),
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    #[error("serving gRPC: {0}")]
    Serve(tonic::transport::Error),
}

/// A bound port and what surrounds every call on it.
pub struct Server {
    config: GrpcConfig,
    incoming: TcpIncoming,
    address: SocketAddr,
    edge: EdgeLayer,
}

impl Server {
    /// Fails where a setting cannot be right, and where the access table leaves out a method of the services that it names
    /// or names one that does not exist. Must be called inside a tokio runtime.
    pub fn bind(config: GrpcConfig, verifier: Verifier, access: &'static [Access]) -> Result<Self, ServerError> {
        config.check()?;
        let methods = Arc::new(Methods::new(access, FILE_DESCRIPTOR_SET)?);
        let failed = |error| ServerError::Listen { address: config.listen, error };
        let incoming = TcpIncoming::bind(config.listen).map_err(failed)?.with_nodelay(Some(true));
        let address = incoming.local_addr().map_err(failed)?;
        measures::describe();
        let edge = EdgeLayer { methods, verifier, deadline_max: config.deadline_max() };
        Ok(Self { config, incoming, address, edge })
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` begins, then lets what runs come to its end, for as long as the drain may take. Calls
    /// still running then are cut off.
    pub async fn serve(self, routes: Routes, health: &Health, shutdown: &Shutdown) -> Result<(), ServerError> {
        let (reporter, health_service) = tonic_health::server::health_reporter();
        let services = self.edge.methods.services.clone();
        // Health answers NOT_SERVING before the port answers at all.
        report(&reporter, &services, health.is_ready()).await;
        let follower = tokio::spawn(follow(health.clone(), reporter, services.clone(), shutdown.clone()));
        let reflection = || reflection(&services);
        let routes = routes.add_service(health_service).add_service(reflection().build_v1()?);
        // Of which many clients still know no other.
        let routes = routes.add_service(reflection().build_v1alpha()?);

        let drain_timeout = self.config.drain_timeout();
        let mut server = transport(&self.config);
        if let Some(tls) = &self.config.tls {
            let identity = Identity::from_pem(&tls.certificate, &tls.key);
            server = server.tls_config(ServerTlsConfig::new().identity(identity)).map_err(ServerError::Tls)?;
        }
        tracing::info!(address = %self.address, tls = self.config.tls.is_some(), "serving gRPC");
        // Whoever prints the headers of a call, a library or a panic, does not print its token.
        let tokens = SetSensitiveRequestHeadersLayer::new([AUTHORIZATION]);
        let server = server.layer(tokens).layer(self.edge);
        let serving = server.serve_with_incoming_shutdown(routes, self.incoming, shutdown.begun());
        let served = tokio::select! {
            served = serving => served.map_err(ServerError::Serve),
            () = drained(shutdown, drain_timeout) => {
                tracing::warn!(drain_timeout_ms = drain_timeout.as_millis() as u64, "calls were cut off by the end of the drain");
                Ok(())
            }
        };
        follower.abort();
        served
    }
}

/// What the HTTP/2 library takes for an attack, and closes a connection for, with all calls on it, follows the calls that it
/// may have. More small frames waiting than half its window allows for, at 256 bytes each, whatever they hold; a window that
/// adapts begins too small for two hundred calls at once. And calls that were given up before they were looked at: as many
/// come together where a process stood still for a moment.
fn transport(config: &GrpcConfig) -> tonic::transport::Server {
    let connection_window = (config.concurrent_streams_max * WINDOW_PER_CALL).max(CONNECTION_WINDOW_MIN);
    tonic::transport::Server::builder()
        .max_concurrent_streams(config.concurrent_streams_max)
        .initial_connection_window_size(connection_window)
        .initial_stream_window_size(STREAM_WINDOW)
        .http2_max_pending_accept_reset_streams(Some(config.concurrent_streams_max as usize))
        .http2_keepalive_interval(Some(Duration::from_millis(config.keepalive_interval_ms)))
        .http2_keepalive_timeout(Some(Duration::from_millis(config.keepalive_timeout_ms)))
}

async fn drained(shutdown: &Shutdown, timeout: Duration) {
    shutdown.begun().await;
    tokio::time::sleep(timeout + LAST_WORDS).await;
}

fn reflection(services: &[String]) -> tonic_reflection::server::Builder<'_> {
    let builder = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .with_service_name("grpc.health.v1.Health")
        .with_service_name("grpc.reflection.v1.ServerReflection")
        .with_service_name("grpc.reflection.v1alpha.ServerReflection");
    services.iter().fold(builder, |builder, service| builder.with_service_name(service))
}

/// Keeps gRPC health in step with readiness. At the end it ends the watches, which would otherwise hold up the drain.
async fn follow(health: Health, mut reporter: HealthReporter, services: Vec<String>, shutdown: Shutdown) {
    let mut readiness = health.readiness();
    loop {
        let ready = *readiness.borrow_and_update();
        report(&reporter, &services, ready).await;
        tokio::select! {
            biased;
            () = shutdown.begun() => break,
            changed = readiness.changed() => if changed.is_err() { break },
        }
    }
    report(&reporter, &services, false).await;
    for service in services.iter().map(String::as_str).chain([""]) {
        reporter.clear_service_status(service).await;
    }
}

async fn report(reporter: &HealthReporter, services: &[String], ready: bool) {
    let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    reporter.set_service_status("", status).await;
    for service in services {
        reporter.set_service_status(service, status).await;
    }
}
