//! Waiting for the end of a job.

use std::time::Duration;

use futures::TryStreamExt as _;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    Error, JobExt as _, Jobs,
    pb::{Job, WatchJobsRequest, watch_jobs_request::Scope},
};

/// Jobs that a client waits for by a watch of their own: an instance serves some hundreds, to all its callers.
pub(crate) const WATCHED_MAX: usize = 64;
/// Whoever was refused a watch looks by himself for a while, before he asks for one again.
const WATCH_AGAIN_AFTER: Duration = Duration::from_secs(30);
/// Between two looks of one without a watch, at first and at last.
const LOOK_AFTER_FIRST: Duration = Duration::from_millis(100);
const LOOK_AFTER_MAX: Duration = Duration::from_secs(2);

impl Jobs {
    /// Waits until the job has ended and answers with it. Fails with [`ErrorKind::NotEnded`](crate::ErrorKind::NotEnded)
    /// where it has not `within` this time; or as the last look at it did, where that failed.
    ///
    /// The end comes by a watch, which outlasts its instances. Where there is none to be had (an older service, one that
    /// has as many as it may, more than 64 waits of this client) the job is looked at, from ten times a second down to
    /// every two seconds. A job of tier C waits for people: that may take days.
    pub async fn wait(&self, job_id: &str, within: Duration) -> Result<Job, Error> {
        let mut trouble = None;
        match timeout(within, self.ended(job_id, &mut trouble)).await {
            Ok(ended) => ended,
            Err(_) => Err(trouble.unwrap_or_else(|| Error::not_ended(job_id, within))),
        }
    }

    /// `trouble`: why the job could not be looked at, the last time that it was tried.
    async fn ended(&self, job_id: &str, trouble: &mut Option<Error>) -> Result<Job, Error> {
        let (mut watch_at, mut looks, mut seen) = (Instant::now(), 0_u32, 0);
        loop {
            if watch_at <= Instant::now() && !self.watched(job_id, trouble).await {
                watch_at = Instant::now() + WATCH_AGAIN_AFTER;
            }
            match self.get(job_id).await {
                Ok(job) if job.is_final() => return Ok(job),
                Ok(job) => {
                    *trouble = None;
                    if job.seq != seen {
                        (looks, seen) = (0, job.seq);
                    }
                }
                Err(error) if error.is_retryable() => *trouble = Some(error),
                Err(error) => return Err(error),
            }
            let bound = LOOK_AFTER_FIRST.saturating_mul(1 << looks.min(16)).min(LOOK_AFTER_MAX);
            // At least half of it: those who wait are not to ask in a burst.
            sleep(bound.mul_f64(rand::random_range(0.5..1.0))).await;
            looks += 1;
        }
    }

    /// Until nothing comes of the job any more. False where that could not be waited for.
    async fn watched(&self, job_id: &str, trouble: &mut Option<Error>) -> bool {
        let Ok(_place) = self.client.shared.watched.try_acquire() else { return false };
        let scope = Some(Scope::JobId(job_id.to_owned()));
        let mut messages = self.watch(WatchJobsRequest { scope, ..WatchJobsRequest::default() });
        loop {
            match messages.try_next().await {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(error) => {
                    *trouble = Some(error);
                    return false;
                }
            }
        }
    }
}
