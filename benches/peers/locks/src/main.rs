//! Other locks under the load that the bench asks for: each is given back as soon as it is granted. Notes when it was asked
//! for, granted and free again; the bench does the counting. One argument: the run, as JSON.
#![forbid(unsafe_code)]

mod etcd;

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use rslock::{Lock, LockManager};
use serde::Deserialize;
use tokio::task::JoinSet;

use etcd::Etcd;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Longer than any run: a kept lease needs no heartbeats beside the load.
const KEPT_TTL_S: i64 = 3600;

#[derive(Deserialize)]
struct Run {
    system: System,
    /// Of the server.
    url: String,
    clients: usize,
    /// Locks that all clients share, each its own of them; where absent each client has `own_keys` for itself, in turn.
    shared_keys: Option<usize>,
    own_keys: usize,
    ttl_s: i64,
    seconds: f64,
    notes: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum System {
    /// Another lease for each lock, which its revocation gives back.
    EtcdFresh,
    /// One lease a client.
    EtcdKept,
    /// rslock on one Redis.
    Rslock,
}

impl Run {
    /// The lock that a client takes in its turn.
    fn key(&self, client: usize, turn: usize) -> usize {
        match self.shared_keys {
            Some(shared) => client % shared,
            None => client * self.own_keys + turn % self.own_keys,
        }
    }
}

enum Client {
    EtcdFresh { etcd: Etcd, ttl_s: i64 },
    EtcdKept { etcd: Etcd, lease: i64 },
    Rslock { manager: LockManager, ttl: Duration },
}

enum Held {
    Lease(i64),
    Key(Vec<u8>),
    Redis(Lock),
}

impl Client {
    async fn connect(run: &Run) -> Result<Self> {
        Ok(match run.system {
            System::EtcdFresh => Self::EtcdFresh { etcd: Etcd::connect(&run.url).await?, ttl_s: run.ttl_s },
            System::EtcdKept => {
                let mut etcd = Etcd::connect(&run.url).await?;
                let lease = etcd.grant(KEPT_TTL_S).await?;
                Self::EtcdKept { etcd, lease }
            }
            System::Rslock => Self::Rslock {
                manager: LockManager::new(vec![run.url.as_str()]),
                ttl: Duration::from_secs(run.ttl_s.unsigned_abs()),
            },
        })
    }

    async fn acquire(&mut self, name: &str) -> Result<Held> {
        Ok(match self {
            Self::EtcdFresh { etcd, ttl_s } => {
                let lease = etcd.grant(*ttl_s).await?;
                etcd.lock(name, lease).await?;
                Held::Lease(lease)
            }
            Self::EtcdKept { etcd, lease } => Held::Key(etcd.lock(name, *lease).await?),
            Self::Rslock { manager, ttl } => {
                let lock = manager.lock(name, *ttl).await;
                Held::Redis(lock.map_err(|error| format!("{name}: {error}"))?)
            }
        })
    }

    async fn release(&mut self, held: Held) -> Result<()> {
        match (self, held) {
            (Self::EtcdFresh { etcd, .. }, Held::Lease(lease)) => etcd.revoke(lease).await,
            (Self::EtcdKept { etcd, .. }, Held::Key(key)) => etcd.unlock(key).await,
            (Self::Rslock { manager, .. }, Held::Redis(lock)) => {
                manager.unlock(&lock).await;
                Ok(())
            }
            _ => Err("a lock of another system".into()),
        }
    }
}

/// The lock's number, and when it was asked for, granted and answered to be free again: microseconds on one clock.
type Note = [f64; 4];

async fn one_after_the_other(run: Arc<Run>, index: usize, mut client: Client, origin: Instant) -> Result<Vec<Note>> {
    let now_us = || origin.elapsed().as_micros() as f64;
    let until = origin + Duration::from_secs_f64(run.seconds);
    let mut notes = Vec::new();
    for turn in 0.. {
        if Instant::now() >= until {
            break;
        }
        let key = run.key(index, turn);
        let name = format!("bench/{key}");
        let asked = now_us();
        let held = client.acquire(&name).await?;
        let granted = now_us();
        client.release(held).await?;
        notes.push([key as f64, asked, granted, now_us()]);
    }
    Ok(notes)
}

fn settings(run: &Run) -> serde_json::Value {
    match run.system {
        System::EtcdFresh => serde_json::json!({
            "acquire": "LeaseGrant, v3lockpb.Lock", "release": "LeaseRevoke", "ttl_s": run.ttl_s,
        }),
        System::EtcdKept => serde_json::json!({
            "acquire": "v3lockpb.Lock", "release": "v3lockpb.Unlock", "ttl_s": KEPT_TTL_S,
        }),
        System::Rslock => serde_json::json!({
            "acquire": "LockManager::lock", "release": "LockManager::unlock", "servers": 1, "ttl_s": run.ttl_s,
        }),
    }
}

/// Two threads, as the bench's own client.
#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let run: Arc<Run> = Arc::new(serde_json::from_str(&std::env::args().nth(1).ok_or("which run?")?)?);
    let mut connected = Vec::new();
    for _ in 0..run.clients {
        connected.push(Client::connect(&run).await?);
    }
    let origin = Instant::now();
    let mut clients = JoinSet::new();
    for (index, client) in connected.into_iter().enumerate() {
        clients.spawn(one_after_the_other(run.clone(), index, client, origin));
    }
    let mut bytes = Vec::new();
    while let Some(ended) = clients.join_next().await {
        bytes.extend(ended??.into_iter().flatten().flat_map(f64::to_le_bytes));
    }
    std::fs::write(&run.notes, bytes)?;
    println!("{}", settings(&run));
    Ok(())
}
