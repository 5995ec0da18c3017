//! The call for a snapshot.

use std::path::PathBuf;
use std::time::Duration;

use holdfast_proto::policy::v1 as pb;
use pb::policy_service_client::PolicyServiceClient;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

use crate::domain::hold::{Scope, Switch};

/// Short beside how long what is known stays good.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) struct Snapshots {
    client: PolicyServiceClient<Channel>,
    /// Read for each call: whoever renews the token writes it there.
    credentials: Option<PathBuf>,
}

/// All switches that are on, with the versions since when.
pub(super) struct Snapshot {
    pub version: u64,
    pub on: Vec<(Switch, u64)>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum SnapshotError {
    #[error("{}: {}", .0.code(), .0.message())]
    Call(#[from] Status),
    #[error("no answer in time")]
    Timeout,
    #[error("the credentials cannot be read: {0}")]
    Credentials(#[from] std::io::Error),
    #[error("the credentials are no token")]
    NoToken,
    /// Of another version. What cannot be understood may be a switch that is on, so nothing of the answer is used.
    #[error("a kill switch of an unknown kind, version {0}")]
    Unknown(u64),
}

impl Snapshots {
    pub(super) fn new(endpoint: String, credentials: Option<PathBuf>) -> Result<Self, tonic::transport::Error> {
        let is_tls = endpoint.starts_with("https://");
        let endpoint = Endpoint::from_shared(endpoint)?
            .connect_timeout(CALL_TIMEOUT)
            .http2_keep_alive_interval(Duration::from_secs(20));
        let endpoint = if is_tls { endpoint.tls_config(ClientTlsConfig::new().with_native_roots())? } else { endpoint };
        Ok(Self { client: PolicyServiceClient::new(endpoint.connect_lazy()), credentials })
    }

    pub(super) async fn take(&self) -> Result<Snapshot, SnapshotError> {
        let mut request = Request::new(pb::GetSnapshotRequest {});
        if let Some(path) = &self.credentials {
            let token = tokio::fs::read_to_string(path).await?;
            let bearer = MetadataValue::try_from(format!("Bearer {}", token.trim()));
            request.metadata_mut().insert("authorization", bearer.map_err(|_| SnapshotError::NoToken)?);
        }
        let mut client = self.client.clone();
        let answer = tokio::time::timeout(CALL_TIMEOUT, client.get_snapshot(request)).await;
        answer.map_err(|_| SnapshotError::Timeout)??.into_inner().try_into()
    }
}

impl TryFrom<pb::GetSnapshotResponse> for Snapshot {
    type Error = SnapshotError;

    fn try_from(answer: pb::GetSnapshotResponse) -> Result<Self, SnapshotError> {
        let on = answer.switches.into_iter().map(|switch| {
            let known = known_scope(switch.scope())
                .and_then(|scope| Switch::new(scope, &switch.tenant_id, &switch.target))
                .ok_or(SnapshotError::Unknown(switch.version))?;
            Ok((known, switch.version))
        });
        Ok(Self { version: answer.version, on: on.collect::<Result<_, SnapshotError>>()? })
    }
}

fn known_scope(scope: pb::KillSwitchScope) -> Option<Scope> {
    match scope {
        pb::KillSwitchScope::Unspecified => None,
        pb::KillSwitchScope::Global => Some(Scope::Global),
        pb::KillSwitchScope::Project => Some(Scope::Project),
        pb::KillSwitchScope::Agent => Some(Scope::Agent),
        pb::KillSwitchScope::Intent => Some(Scope::Intent),
    }
}
