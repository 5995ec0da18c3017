//! Tasks that instances share, against PostgreSQL.

use std::time::Duration;

use holdfast_pg::leadership::TaskLease;
use holdfast_runtime::{
    Shutdown,
    tasks::{Report, TaskSet},
};
use holdfast_telemetry::Metrics;
use holdfast_testkit::Database;
use tokio::sync::mpsc::{Receiver, Sender, channel};

const PERIOD: Duration = Duration::from_millis(5);
const TTL: Duration = Duration::from_millis(1500);
const SOON: Duration = Duration::from_secs(60);

struct Instance {
    shutdown: Shutdown,
    tasks: TaskSet,
}

impl Instance {
    fn start(database: &Database, holder: &'static str, ran: Sender<&'static str>) -> Self {
        let shutdown = Shutdown::new();
        let mut tasks = TaskSet::new(&shutdown);
        let lease = TaskLease::new(database.task().unwrap(), "jobs", "shared_task", holder, TTL);
        tasks.spawn("shared_task", PERIOD, Some(lease), move || {
            let _ = ran.try_send(holder);
            async { Ok(Report::default()) }
        });
        Self { shutdown, tasks }
    }

    async fn stop(self) {
        self.shutdown.begin();
        self.tasks.finish(SOON).await;
    }
}

async fn next(ran: &mut Receiver<&'static str>) -> &'static str {
    tokio::time::timeout(SOON, ran.recv()).await.expect("the task runs").unwrap()
}

#[tokio::test]
async fn one_instance_leads_and_the_other_takes_over() {
    let database = Database::create().await.unwrap();
    let (ran, mut runs) = channel(1);
    let first = Instance::start(&database, "first", ran.clone());
    assert_eq!(next(&mut runs).await, "first");
    let second = Instance::start(&database, "second", ran);
    for _ in 0..100 {
        assert_eq!(next(&mut runs).await, "first");
    }
    first.stop().await;
    while next(&mut runs).await == "first" {}
    for _ in 0..20 {
        assert_eq!(next(&mut runs).await, "second");
    }
    second.stop().await;
}

#[tokio::test]
async fn a_run_is_cut_off_when_its_lease_goes_elsewhere() {
    let metrics = Metrics::install().unwrap();
    let database = Database::create().await.unwrap();
    let shutdown = Shutdown::new();
    let mut tasks = TaskSet::new(&shutdown);
    let lease = TaskLease::new(database.task().unwrap(), "jobs", "robbed_task", "leader", TTL);
    let (entered, mut has_entered) = channel::<&'static str>(1);
    // Held by the run until it is dropped.
    let (alive, mut is_dropped) = channel::<&'static str>(1);
    let mut alive = Some(alive);
    tasks.spawn("robbed_task", PERIOD, Some(lease), move || {
        let alive = alive.take();
        let _ = entered.try_send("leader");
        async move {
            let _alive = alive;
            std::future::pending().await
        }
    });
    next(&mut has_entered).await;
    sqlx::query(
        "UPDATE jobs.task_leases SET holder = 'thief', epoch = epoch + 1, expires_at = clock_timestamp() + interval '1 hour'
         WHERE task = 'robbed_task'",
    )
    .execute(database.admin())
    .await
    .unwrap();
    assert_eq!(tokio::time::timeout(SOON, is_dropped.recv()).await.expect("the run is dropped"), None);
    shutdown.begin();
    tasks.finish(SOON).await;
    let line = r#"task_runs_total{task="robbed_task",outcome="lease_lost"} 1"#;
    assert!(metrics.render().contains(line));
}
