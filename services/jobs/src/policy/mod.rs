//! Keeps what the guard knows of policy up to date: by snapshots, asked for at the start and every few seconds, and by the
//! events of the operations streams between them. Either may be away: without the streams a switch takes as long as to the
//! next snapshot; without snapshots what is known grows old, and [`crate::app::guard`] says what that comes to.

mod events;
mod snapshot;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use holdfast_redis::Redis;
use holdfast_runtime::{Dependency, Health, Need, Shutdown};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::events::Events;
use self::snapshot::{Snapshot, Snapshots};
use crate::app::Core;
use crate::app::guard::Standing;
use crate::config::PolicyConfig;
use crate::metrics;

/// How often it is looked at how old what is known has become.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Tells at the start, and from then on, how policy stands. Returns once the first snapshot was asked for.
pub async fn start(
    config: &PolicyConfig,
    core: &Arc<Core>,
    redis: &Redis,
    health: &Health,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let dependency = health.dependency("policy", Need::Optional);
    let Some(connection) = config.connection()? else {
        tracing::info!("standalone: there is no policy service, and no kill switch takes effect");
        dependency.says(holdfast_runtime::State::Ok, "standalone", None);
        return Ok(());
    };
    let heard = Arc::new(Heard::default());
    let snapshots = Snapshots::new(connection.endpoint, connection.credentials)?;
    let told = Told { core: core.clone(), dependency, heard: heard.clone() };
    ask(core, &snapshots).await;
    told.tell();
    tokio::spawn(ask_again(core.clone(), snapshots, heard.clone(), connection.refresh, shutdown.token()));
    tokio::spawn(Events::new(core.clone(), redis.clone(), connection.keys, heard).run(shutdown.token()));
    tokio::spawn(told.run(shutdown.token()));
    Ok(())
}

/// What the streams tell the others.
#[derive(Default)]
struct Heard {
    /// Whether they can be read.
    follows: AtomicBool,
    /// Something may have been missed.
    missed: Notify,
}

async fn ask_again(
    core: Arc<Core>,
    snapshots: Snapshots,
    heard: Arc<Heard>,
    refresh: Duration,
    shutdown: CancellationToken,
) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(refresh) => {}
            () = heard.missed.notified() => {}
            () = shutdown.cancelled() => return,
        }
        ask(&core, &snapshots).await;
    }
}

async fn ask(core: &Core, snapshots: &Snapshots) {
    let asked_at = Instant::now();
    let learnt = match snapshots.take().await {
        Ok(Snapshot { version, on }) => {
            let is_learnt = core.guard.learn(asked_at, version, on);
            is_learnt.then_some(()).ok_or_else(|| format!("version {version} is behind what was answered before"))
        }
        Err(error) => Err(error.to_string()),
    };
    if let Err(cause) = learnt {
        metrics::policy_snapshot_failed();
        tracing::warn!(cause, "no snapshot of policy");
    }
}

/// Who tells how policy stands, to people and to those who follow what may go on.
struct Told {
    core: Arc<Core>,
    dependency: Dependency,
    heard: Arc<Heard>,
}

impl Told {
    async fn run(self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        let mut before = self.core.guard.standing();
        loop {
            tokio::select! { _ = ticks.tick() => {}, () = shutdown.cancelled() => return }
            let standing = self.tell();
            if std::mem::replace(&mut before, standing) != standing {
                self.core.guard.changed.notify_one();
            }
        }
    }

    fn tell(&self) -> Standing {
        use holdfast_runtime::State::{Degraded, Down, Ok};
        let (age, switches) = self.core.guard.measure();
        metrics::policy_known(age, switches);
        let standing = self.core.guard.standing();
        let follows = self.heard.follows.load(Ordering::Relaxed);
        match standing {
            Standing::Standalone => self.dependency.says(Ok, "standalone", None),
            Standing::Known if follows => self.dependency.says(Ok, "ok", None),
            Standing::Known => self.dependency.says(Degraded, "degraded", Some(&"the operations streams are not read")),
            Standing::Away => self.dependency.says(Degraded, "degraded", Some(&"away: tiers B and C are held")),
            Standing::Unknown => self.dependency.says(Down, "unavailable", Some(&"away: everything new is held")),
            Standing::Lost => self.dependency.says(Down, "unavailable", Some(&"away: nothing new is taken")),
        }
        standing
    }
}
