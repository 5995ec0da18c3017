//! The other side of the contract: policy as the jobs service meets it. It stands for a service that does not exist yet.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use holdfast_events::{EntryFields, Envelope, EventHeader, Signer, encode, shard_of};
use holdfast_ids::EventId;
use holdfast_proto::events::v1::{KillSwitchActivated, KillSwitchDeactivated};
use holdfast_proto::policy::v1 as pb;
use holdfast_redis::fred::interfaces::StreamsInterface as _;
use holdfast_redis::fred::types::Value;
use holdfast_redis::{Redis, RedisConfig};
use pb::policy_service_server::{PolicyService, PolicyServiceServer};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, Status};

use crate::support::*;

pub const KEY: &str = "an event key of thirty-two bytes";
const KEY_ID: &str = "policy-1";

/// Which work a switch stops.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Switch {
    pub scope: &'static str,
    pub tenant: String,
    pub target: String,
}

impl Switch {
    pub fn new(scope: &'static str, tenant: impl ToString, target: &str) -> Self {
        Self { scope, tenant: tenant.to_string(), target: target.to_owned() }
    }

    /// As a held job shows it.
    pub fn name(&self) -> String {
        format!("kill_switch:{}:{}", self.scope, self.target).trim_end_matches(':').to_owned()
    }
}

#[derive(Default)]
struct State {
    version: u64,
    on: BTreeMap<Switch, u64>,
    is_away: bool,
    authorization: Option<String>,
    asked: usize,
}

#[derive(Clone, Default)]
struct Answering(Arc<Mutex<State>>);

impl Answering {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl PolicyService for Answering {
    async fn get_snapshot(
        &self,
        request: Request<pb::GetSnapshotRequest>,
    ) -> Result<Response<pb::GetSnapshotResponse>, Status> {
        let mut state = self.state();
        state.asked += 1;
        let authorization = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        state.authorization = authorization.map(str::to_owned);
        if state.is_away {
            return Err(Status::unavailable("away"));
        }
        let switches = state.on.iter().map(|(switch, version)| pb::KillSwitch {
            scope: pb::KillSwitchScope::from_str_name(&format!("KILL_SWITCH_SCOPE_{}", switch.scope.to_uppercase()))
                .unwrap_or_default()
                .into(),
            target: switch.target.clone(),
            tenant_id: switch.tenant.clone(),
            reason: "an exercise".to_owned(),
            version: *version,
        });
        let switches = switches.collect();
        Ok(Response::new(pb::GetSnapshotResponse { version: state.version, switches, taken_at: None }))
    }
}

pub struct Engine {
    answering: Answering,
    port: u16,
    _serving: AbortOnDropHandle<()>,
}

impl Engine {
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (port, answering) = (listener.local_addr()?.port(), Answering::default());
        let server = tonic::transport::Server::builder().add_service(PolicyServiceServer::new(answering.clone()));
        let serving = async move {
            let _ = server.serve_with_incoming(TcpListenerStream::new(listener)).await;
        };
        Ok(Self { answering, port, _serving: AbortOnDropHandle::new(tokio::spawn(serving)) })
    }

    /// Of instances that follow it.
    pub fn settings(&self) -> Settings {
        Settings::default()
            .set("policy.mode", "connected")
            .set("policy.endpoint", format!("http://127.0.0.1:{}", self.port))
            .set("policy.event_key", KEY)
            .set("policy.event_key_id", KEY_ID)
            .set("policy.refresh_ms", 100)
            .set("tasks.holds_period_ms", 100)
    }

    pub fn set_away(&self, is_away: bool) {
        self.answering.state().is_away = is_away;
    }

    /// How many snapshots were asked for.
    pub fn asked(&self) -> usize {
        self.answering.state().asked
    }

    pub fn authorization(&self) -> Option<String> {
        self.answering.state().authorization.clone()
    }

    /// Turns a switch, and tells nobody; answers the version of the change.
    pub fn turn(&self, switch: &Switch, is_on: bool) -> u64 {
        let mut state = self.answering.state();
        state.version += 1;
        let version = state.version;
        if is_on {
            state.on.insert(switch.clone(), version);
        } else {
            state.on.remove(switch);
        }
        version
    }

    /// Turns a switch, and says so on the stream.
    pub async fn set(&self, world: &World, switch: &Switch, is_on: bool) -> Result<()> {
        let version = self.turn(switch, is_on);
        let stream = Stream::of(world)?;
        let envelope = envelope(switch, is_on, version);
        stream.publish(&stream.name(switch), &envelope, &signer(KEY)?).await
    }
}

pub fn signer(key: &str) -> Result<Signer> {
    Ok(Signer::new(KEY_ID, key.as_bytes())?)
}

pub fn envelope(switch: &Switch, is_on: bool, version: u64) -> Envelope {
    let key = format!("killswitch:{}:{}:{}", switch.scope, switch.tenant, switch.target);
    let header = EventHeader {
        event_id: EventId::new(),
        source: "holdfast.policy",
        occurred_at: chrono::Utc::now(),
        tenant_id: if switch.tenant.is_empty() { "platform" } else { &switch.tenant },
        project_id: "",
        job_id: None,
        actor_id: "olga",
        idempotency_key: "",
        request_id: "request-1",
        traceparent: "",
        ordering_key: &key,
        key_seq: version,
    };
    let (scope, target, tenant_id) = (switch.scope.to_owned(), switch.target.clone(), switch.tenant.clone());
    let (reason, actor_id) = ("an exercise".to_owned(), "olga".to_owned());
    if is_on {
        header.envelope(&KillSwitchActivated { scope, target, tenant_id, reason, actor_id, version })
    } else {
        header.envelope(&KillSwitchDeactivated { scope, target, tenant_id, reason, actor_id, version })
    }
}

/// The operations streams, as a relay writes them.
pub struct Stream(Redis);

impl Stream {
    pub fn of(world: &World) -> Result<Self> {
        Ok(Self(Redis::connect(&RedisConfig::new(world.redis.url(), "hf:test"))?))
    }

    /// Of the shard of a switch.
    pub fn name(&self, switch: &Switch) -> String {
        let key = format!("killswitch:{}:{}:{}", switch.scope, switch.tenant, switch.target);
        self.0.keys().stream("operations", shard_of(&key)).events
    }

    pub async fn publish(&self, stream: &str, envelope: &Envelope, signer: &Signer) -> Result<()> {
        let bytes = encode(envelope);
        let signature = signer.sign(stream, &envelope.event_id, &bytes);
        self.add(stream, bytes, Some(&signature)).await
    }

    pub async fn add(&self, stream: &str, envelope: Vec<u8>, signature: Option<&[u8]>) -> Result<()> {
        let mut fields = vec![
            (EntryFields::ENVELOPE, Value::Bytes(envelope.into())),
            (EntryFields::KEY_ID, Value::Bytes(KEY_ID.as_bytes().into())),
        ];
        if let Some(signature) = signature {
            fields.push((EntryFields::SIGNATURE, Value::Bytes(signature.to_vec().into())));
        }
        self.0.wait_until_connected(SOON).await?;
        self.0.client().xadd::<(), _, _, _, _>(stream, false, None, "*", fields).await?;
        Ok(())
    }
}
