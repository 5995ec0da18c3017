//! Background loops.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use holdfast_fault::{Fault, Reason};
use holdfast_runtime::{
    Shutdown,
    tasks::{Report, TaskSet},
};
use holdfast_telemetry::Metrics;
use tokio::sync::mpsc;

const PERIOD: Duration = Duration::from_millis(1);
const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_task_runs_again_after_failures_and_panics() {
    let metrics = Metrics::install().unwrap();
    let shutdown = Shutdown::new();
    let mut tasks = TaskSet::new(&shutdown);
    let runs = Arc::new(AtomicU32::new(0));
    let (done, mut is_done) = mpsc::channel(1);
    tasks.spawn("erratic", PERIOD, None, move || {
        let run = runs.fetch_add(1, Ordering::Relaxed);
        let done = done.clone();
        async move {
            match run {
                0 => Err(Fault::new(Reason::Infra503DependencyDown, "away")),
                1 => panic!("deliberate"),
                2 => Ok(Report { items: 5 }),
                _ => {
                    let _ = done.try_send(());
                    Ok(Report::default())
                }
            }
        }
    });
    tokio::time::timeout(SOON, is_done.recv()).await.unwrap();
    shutdown.begin();
    tasks.finish(SOON).await;
    let text = metrics.render();
    for line in [
        r#"task_runs_total{task="erratic",outcome="failed"} 1"#,
        r#"task_runs_total{task="erratic",outcome="panicked"} 1"#,
        r#"task_items_total{task="erratic"} 5"#,
        r#"task_runs_total{task="erratic",outcome="ok"}"#,
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[tokio::test]
async fn a_run_may_finish_after_the_signal_to_stop() {
    let shutdown = Shutdown::new();
    let mut tasks = TaskSet::new(&shutdown);
    let (entered, mut has_entered) = mpsc::channel(1);
    let (go_on, may_go_on) = tokio::sync::watch::channel(false);
    let finished = Arc::new(AtomicU32::new(0));
    let counted = finished.clone();
    tasks.spawn("long", PERIOD, None, move || {
        let (entered, mut may_go_on, finished) = (entered.clone(), may_go_on.clone(), counted.clone());
        async move {
            let _ = entered.try_send(());
            let _ = may_go_on.wait_for(|go| *go).await;
            finished.fetch_add(1, Ordering::Relaxed);
            Ok(Report::default())
        }
    });
    tokio::time::timeout(SOON, has_entered.recv()).await.unwrap();
    shutdown.begin();
    go_on.send(true).unwrap();
    tasks.finish(SOON).await;
    assert_eq!(finished.load(Ordering::Relaxed), 1, "this run to its end, and no other");
}

#[tokio::test]
async fn the_drain_of_tasks_is_bounded() {
    let shutdown = Shutdown::new();
    let mut tasks = TaskSet::new(&shutdown);
    let (entered, mut has_entered) = mpsc::channel(1);
    tasks.spawn("endless", PERIOD, None, move || {
        let _ = entered.try_send(());
        std::future::pending()
    });
    tokio::time::timeout(SOON, has_entered.recv()).await.unwrap();
    shutdown.begin();
    tokio::time::timeout(SOON, tasks.finish(Duration::from_millis(20))).await.unwrap();
}
