//! Batches: what joins them, what leaves them, and who hears what.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Result;
use async_trait::async_trait;
use holdfast_pg::{
    DbError, TaskDb,
    coalescer::{BatchJob, Coalescer, Interrupted, Limits},
};
use holdfast_testkit::Database;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinHandle,
    time::Instant,
};

/// The errors of both jobs below.
#[derive(Debug, Clone, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    #[error("no item is to blame")]
    Everyone,
}

/// A batch that waits for leave to run, and tells what was in it.
struct Gated {
    leave: Arc<Semaphore>,
    batches: mpsc::UnboundedSender<Vec<String>>,
}

#[async_trait]
impl BatchJob for Gated {
    type Item = String;
    type Output = usize;
    type Error = Failed;

    async fn run(&self, items: &[String]) -> Result<Vec<Result<usize, Failed>>, Failed> {
        let _ = self.batches.send(items.to_vec());
        self.leave.acquire().await.expect("open").forget();
        match items.first().map(String::as_str) {
            Some("panic") => panic!("as asked"),
            Some("everyone") => Err(Failed::Everyone),
            Some("short") => Ok(vec![Ok(0)]),
            _ => Ok((0..items.len()).map(Ok).collect()),
        }
    }

    fn blames_an_item(error: &Failed) -> bool {
        !matches!(error, Failed::Everyone)
    }

    fn weight(item: &String) -> usize {
        item.len()
    }
}

struct Bench {
    coalescer: Coalescer<Gated>,
    leave: Arc<Semaphore>,
    batches: mpsc::UnboundedReceiver<Vec<String>>,
}

fn bench(limits: Limits) -> Bench {
    let leave = Arc::new(Semaphore::new(0));
    let (sender, batches) = mpsc::unbounded_channel();
    let coalescer = Coalescer::new(Gated { leave: Arc::clone(&leave), batches: sender }, limits);
    Bench { coalescer, leave, batches }
}

const ONE_LANE: Limits = Limits { items_max: 100, bytes_max: 1_000_000, lanes: 1 };

impl Bench {
    /// Submits from a task of its own, which has queued the item when this returns (a current-thread runtime).
    async fn submit(&self, item: impl Into<String>) -> JoinHandle<Result<usize, Failed>> {
        let (coalescer, item) = (self.coalescer.clone(), item.into());
        let task = tokio::spawn(async move { coalescer.submit(item).await });
        tokio::task::yield_now().await;
        task
    }

    async fn next_batch(&mut self) -> Vec<String> {
        self.batches.recv().await.expect("the job lives")
    }

    /// Puts a first item in flight, so that what follows queues behind it.
    async fn occupy(&mut self) -> JoinHandle<Result<usize, Failed>> {
        let first = self.submit("first").await;
        assert_eq!(self.next_batch().await, ["first"]);
        first
    }
}

#[tokio::test]
async fn what_queues_behind_a_batch_is_the_next_batch_in_order() -> Result<()> {
    let mut bench = bench(ONE_LANE);
    bench.occupy().await;
    let mut waiting = Vec::new();
    for item in ["a", "b", "c"] {
        waiting.push(bench.submit(item).await);
    }
    bench.leave.add_permits(1);
    assert_eq!(bench.next_batch().await, ["a", "b", "c"]);
    bench.leave.add_permits(1);
    for (place, caller) in waiting.into_iter().enumerate() {
        assert_eq!(caller.await??, place, "each gets its own outcome");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_idle_coalescer_adds_no_delay() -> Result<()> {
    let bench = bench(ONE_LANE);
    bench.leave.add_permits(100);
    let began = Instant::now();
    for _ in 0..100 {
        bench.coalescer.submit("alone".to_owned()).await?;
    }
    // The paused clock moves only when somebody waits for a timer.
    assert_eq!(began.elapsed(), Duration::ZERO);
    Ok(())
}

#[tokio::test]
async fn batches_are_split_by_count_and_by_bytes_and_the_heavy_run_alone() -> Result<()> {
    let mut bench = bench(Limits { items_max: 3, bytes_max: 10, lanes: 1 });
    bench.occupy().await;
    for item in ["a", "b", "c", "d", "eeeeee", "ffffff", "a heavy item", "g"] {
        bench.submit(item).await;
    }
    bench.leave.add_permits(100);
    let expected: [&[&str]; 5] = [&["a", "b", "c"], &["d", "eeeeee"], &["ffffff"], &["a heavy item"], &["g"]];
    for batch in expected {
        assert_eq!(bench.next_batch().await, batch);
    }
    Ok(())
}

#[tokio::test]
async fn lanes_bound_the_batches_in_flight() -> Result<()> {
    let mut bench = bench(Limits { lanes: 2, ..ONE_LANE });
    bench.submit("a").await;
    assert_eq!(bench.next_batch().await, ["a"]);
    bench.submit("b").await;
    assert_eq!(bench.next_batch().await, ["b"], "the second lane is free");
    bench.submit("c").await;
    bench.submit("d").await;
    assert!(bench.batches.try_recv().is_err(), "no third lane");
    bench.leave.add_permits(1);
    assert_eq!(bench.next_batch().await, ["c", "d"]);
    Ok(())
}

#[tokio::test]
async fn a_cancelled_item_is_left_out_before_its_batch_and_stays_in_after() -> Result<()> {
    let mut bench = bench(ONE_LANE);
    let first = bench.occupy().await;
    let gone = bench.submit("gone").await;
    let neighbour = bench.submit("neighbour").await;
    gone.abort();
    assert!(gone.await.is_err());
    bench.leave.add_permits(1);
    assert_eq!(bench.next_batch().await, ["neighbour"]);
    first.await??;

    // In flight now: its caller goes, and it is done all the same, as is who shares the lane after it.
    neighbour.abort();
    let next = bench.submit("next").await;
    bench.leave.add_permits(2);
    assert_eq!(bench.next_batch().await, ["next"]);
    next.await??;
    Ok(())
}

#[tokio::test]
async fn a_cancelled_caller_in_flight_does_not_disturb_its_neighbours() -> Result<()> {
    let mut bench = bench(ONE_LANE);
    bench.occupy().await;
    let (gone, neighbour) = (bench.submit("gone").await, bench.submit("neighbour").await);
    bench.leave.add_permits(1);
    assert_eq!(bench.next_batch().await, ["gone", "neighbour"]);
    gone.abort();
    bench.leave.add_permits(1);
    assert_eq!(neighbour.await??, 1);
    Ok(())
}

#[tokio::test]
async fn a_failure_that_blames_nobody_is_everyones() -> Result<()> {
    let mut bench = bench(ONE_LANE);
    bench.occupy().await;
    let callers = [bench.submit("everyone").await, bench.submit("too").await];
    bench.leave.add_permits(2);
    for caller in callers {
        assert!(matches!(caller.await?, Err(Failed::Everyone)));
    }
    assert_eq!(bench.next_batch().await.len(), 2);
    assert!(bench.batches.try_recv().is_err(), "it was not run again");
    Ok(())
}

#[tokio::test]
async fn a_panic_or_a_missing_outcome_is_an_error_and_the_lane_goes_on() -> Result<()> {
    for broken in ["panic", "short"] {
        let mut bench = bench(ONE_LANE);
        bench.occupy().await;
        let callers = [bench.submit(broken).await, bench.submit("neighbour").await];
        bench.leave.add_permits(2);
        let [_, neighbour] = callers;
        assert!(matches!(neighbour.await?, Err(Failed::Interrupted(Interrupted::Lost))));
        bench.leave.add_permits(1);
        bench.coalescer.submit("after".to_owned()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn close_drains_what_was_accepted_and_refuses_the_rest() -> Result<()> {
    let mut bench = bench(ONE_LANE);
    let first = bench.occupy().await;
    let waiting = bench.submit("waiting").await;
    let closing = tokio::spawn({
        let coalescer = bench.coalescer.clone();
        async move { coalescer.close().await }
    });
    tokio::task::yield_now().await;
    let refused = bench.coalescer.submit("late".to_owned()).await;
    assert!(matches!(refused, Err(Failed::Interrupted(Interrupted::Closed))), "{refused:?}");
    assert!(!closing.is_finished());

    bench.leave.add_permits(2);
    closing.await?;
    assert!(first.await?.is_ok() && waiting.await?.is_ok());
    bench.coalescer.close().await;
    Ok(())
}

/// Inserts numbers, a batch a transaction.
struct Insert {
    db: TaskDb,
    batches: Arc<Mutex<Vec<usize>>>,
}

#[async_trait]
impl BatchJob for Insert {
    type Item = i32;
    type Output = i64;
    type Error = Failed;

    async fn run(&self, items: &[i32]) -> Result<Vec<Result<i64, Failed>>, Failed> {
        self.batches.lock().expect("whole").push(items.len());
        let mut tx = self.db.begin().await?;
        let squares: Vec<i64> =
            sqlx::query_scalar("INSERT INTO public.numbers SELECT * FROM unnest($1) RETURNING n::bigint * n")
                .bind(items)
                .fetch_all(&mut *tx)
                .await
                .map_err(DbError::from)?;
        tx.commit().await?;
        Ok(squares.into_iter().map(Ok).collect())
    }

    fn blames_an_item(error: &Failed) -> bool {
        matches!(error, Failed::Db(error) if error.blames_a_row())
    }

    fn weight(_: &i32) -> usize {
        4
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_item_alone_gets_the_error() -> Result<()> {
    let database = Database::create().await?;
    sqlx::raw_sql(
        "CREATE TABLE public.numbers (n int CONSTRAINT n_is_not_unlucky CHECK (n NOT IN (13, 77)));
         GRANT ALL ON public.numbers TO holdfast_jobs_task;",
    )
    .execute(database.admin())
    .await?;
    let batches = Arc::new(Mutex::new(Vec::new()));
    let job = Insert { db: database.task()?, batches: Arc::clone(&batches) };
    let coalescer = Coalescer::new(job, ONE_LANE);

    let callers: Vec<_> = (0..100)
        .map(|number| {
            let coalescer = coalescer.clone();
            tokio::spawn(async move { (number, coalescer.submit(number).await) })
        })
        .collect();
    for caller in callers {
        match caller.await? {
            (number @ (13 | 77), outcome) => {
                let named =
                    matches!(&outcome, Err(Failed::Db(DbError::Constraint { name, .. })) if name == "n_is_not_unlucky");
                assert!(named, "{number}: {outcome:?}");
            }
            (number, outcome) => assert_eq!(outcome?, i64::from(number).pow(2)),
        }
    }
    let stored: Vec<i32> =
        sqlx::query_scalar("SELECT n FROM public.numbers ORDER BY n").fetch_all(database.admin()).await?;
    assert_eq!(stored, (0..100).filter(|n| ![13, 77].contains(n)).collect::<Vec<_>>());
    assert!(batches.lock().expect("whole").iter().any(|items| *items > 10), "calls shared a commit");
    Ok(())
}
