//! Two ways to submit: the next job once the last is answered, or by the clock.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{Board, Submitter};

/// A refusal must not become a storm of calls.
const AFTER_FAILURE: Duration = Duration::from_millis(20);

/// Each connection has one call under way, as long as the board has room.
pub fn closed_loop(submitters: Vec<Submitter>, board: &Arc<Board>, stop: &CancellationToken) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for mut submitter in submitters {
        let (board, stop) = (board.clone(), stop.clone());
        tasks.spawn(async move {
            while !stop.is_cancelled() {
                tokio::select! {
                    () = board.take_room() => {}
                    () = stop.cancelled() => return,
                }
                submitter.submit(&board).await;
                if !board.failures().is_empty() {
                    sleep(AFTER_FAILURE).await;
                }
            }
        });
    }
    tasks
}

/// `rate` jobs a second, whether or not earlier ones are answered: a slow service is not given time to recover.
pub fn open_loop(submitters: Vec<Submitter>, board: &Arc<Board>, rate: f64, stop: &CancellationToken) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let connections = submitters.len() as f64;
    let begin = Instant::now();
    for (index, mut submitter) in submitters.into_iter().enumerate() {
        let (board, stop) = (board.clone(), stop.clone());
        tasks.spawn(async move {
            let mut calls = JoinSet::new();
            for turn in 0_u64.. {
                let due = begin + Duration::from_secs_f64((index as f64 + turn as f64 * connections) / rate);
                tokio::select! {
                    () = sleep_until(due) => {}
                    () = stop.cancelled() => break,
                }
                let (mut call, board) = (submitter.fork(), board.clone());
                calls.spawn(async move { call.submit(&board).await });
                while calls.try_join_next().is_some() {}
            }
            calls.join_all().await;
        });
    }
    tasks
}
