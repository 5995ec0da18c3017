//! The server's own TLS.

use holdfast_runtime::{GrpcConfig, Health, Server, ServerError, Shutdown, TlsConfig};
use tonic::{
    service::Routes,
    transport::{Certificate, ClientTlsConfig, Endpoint},
};

use crate::house::{ACCESS, House, config, verifier};

#[tokio::test]
async fn calls_are_served_over_tls() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.pem();
    let tls = Some(TlsConfig { certificate: certificate.clone(), key: made.signing_key.serialize_pem() });
    let house = House::open_with(GrpcConfig { tls, ..config() }).await;
    let trust = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificate)).domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://{}", house.address)).unwrap().tls_config(trust).unwrap();
    let mut jobs =
        holdfast_proto::jobs::v1::job_service_client::JobServiceClient::new(endpoint.connect().await.unwrap());
    assert!(jobs.submit_job(house.submission("ok")).await.is_ok());
    drop(jobs);
    house.close().await;
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_at_start() {
    let dir = tempfile::TempDir::new().unwrap();
    let issuer = holdfast_caller::issuer::DevIssuer::generate().unwrap();
    let tls = Some(TlsConfig { certificate: "no".to_owned(), key: "certificate".to_owned() });
    let config = GrpcConfig { tls, ..config() };
    let refused = match Server::bind(config, verifier(&issuer, &dir).await, ACCESS) {
        Ok(server) => {
            let shutdown = Shutdown::new();
            server.serve(Routes::default(), &Health::new(&shutdown), &shutdown).await
        }
        Err(error) => Err(error),
    };
    assert!(matches!(refused, Err(ServerError::Tls(_))), "{refused:?}");
}
