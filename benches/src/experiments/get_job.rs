//! GetJob from 8 connections beside the half load, with 10 thousand and with 1 million finished jobs in the tables.
//!
//! Twice: by the clock, as clients that look now and then (a call's time counts from when it was due), and back to back,
//! which takes the processor from the load itself and is published for what it shows at the limit.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hdrhistogram::Histogram;
use holdfast_proto::jobs::v1::{GetJobRequest, job_service_client::JobServiceClient};
use serde::{Deserialize, Serialize};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tonic::{Request, transport::Endpoint};

use super::{
    GET_JOB, Plan,
    fill::{fill, sample},
    pickup::PacedLoad,
};
use crate::{
    measure::{
        conditions::Conditions,
        percentiles::{Percentiles, histogram},
    },
    stack::{Stack, Target},
};

const READERS: usize = 8;
const SAMPLE: i64 = 50_000;
const SIZES: [i64; 2] = [10_000, 1_000_000];
const SIZES_QUICK: [i64; 2] = [10_000, 50_000];

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    pub connections: usize,
    pub paced_calls_per_s: f64,
    pub jobs_per_s_beside: f64,
    pub sizes: Vec<Size>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Size {
    /// Before the load, whose own jobs come on top.
    pub finished_jobs: i64,
    pub paced: Percentiles,
    pub back_to_back: Percentiles,
    pub back_to_back_calls_per_s: f64,
    /// Of the load, while the paced reads ran.
    pub pickup: Percentiles,
}

pub async fn run(plan: &Plan, rate: Option<f64>, get_rate: f64) -> Result<()> {
    let rate = rate.map_or_else(|| plan.measured_rate().map(|rate| rate / 2.0), Ok)?;
    let stack = Stack::start(64).await?;
    let mut sizes = Vec::new();
    let mut filled = 0;
    for finished_jobs in if plan.quick() { SIZES_QUICK } else { SIZES } {
        fill(stack.admin(), filled, finished_jobs).await?;
        filled = finished_jobs;
        let size = at_size(plan, &stack, rate, get_rate, finished_jobs).await?;
        println!(
            "GetJob with {finished_jobs} jobs: paced p95 {:.2} ms, back to back p95 {:.2} ms",
            size.paced.p95_ms, size.back_to_back.p95_ms
        );
        sizes.push(size);
    }
    let conditions = Conditions::look(stack.database()).await?;
    let measured = Measured { connections: READERS, paced_calls_per_s: get_rate, jobs_per_s_beside: rate, sizes };
    plan.results.write(GET_JOB, conditions, Some(stack.redis_version().await?), measured)
}

async fn at_size(plan: &Plan, stack: &Stack, rate: f64, get_rate: f64, finished_jobs: i64) -> Result<Size> {
    let jobs = sample(stack.admin(), SAMPLE).await?;
    let load = PacedLoad::start(plan, stack, rate).await?;
    sleep(plan.timing.warm_up).await;
    load.board.open_window(plan.timing.window);
    let period = Duration::from_secs_f64(READERS as f64 / get_rate);
    let paced = read(&stack.target, &jobs, Some(period), plan.timing.window).await?;
    let pickup = load.board.counts().pickup;
    let back_to_back = read(&stack.target, &jobs, None, plan.timing.window).await?;
    load.finish(plan).await?;
    Ok(Size {
        finished_jobs,
        paced: (&paced).into(),
        back_to_back: (&back_to_back).into(),
        back_to_back_calls_per_s: back_to_back.len() as f64 / plan.timing.window.as_secs_f64(),
        pickup,
    })
}

/// Reads jobs of the sample from every connection, one call every `period` or one after the other.
async fn read(
    target: &Target,
    jobs: &[(String, usize)],
    period: Option<Duration>,
    window: Duration,
) -> Result<Histogram<u64>> {
    let mut readers = JoinSet::new();
    let begin = Instant::now() + Duration::from_millis(200);
    for index in 0..READERS {
        let channel = Endpoint::from_shared(target.url.clone())?.tcp_nodelay(true).connect().await?;
        // Each reader has a part of the sample of its own and goes round in it.
        let part: Vec<_> = jobs.iter().skip(index).step_by(READERS).cloned().collect();
        let reader = Reader { client: JobServiceClient::new(channel), target: target.clone(), jobs: part };
        let first = begin + period.unwrap_or_default().mul_f64(index as f64 / READERS as f64);
        readers.spawn(reader.run(first, period, begin + window));
    }
    let mut all = histogram();
    while let Some(times) = readers.join_next().await {
        all.add(times??)?;
    }
    Ok(all)
}

struct Reader {
    client: JobServiceClient<tonic::transport::Channel>,
    target: Target,
    jobs: Vec<(String, usize)>,
}

impl Reader {
    async fn run(mut self, first: Instant, period: Option<Duration>, end: Instant) -> Result<Histogram<u64>> {
        let mut times = histogram();
        let mut due = first;
        for turn in 0.. {
            // Behind its clock, a call counts from when it was due. In time, it counts from the wake-up: the timer's own
            // millisecond is not the service's.
            let behind = Instant::now() > due;
            sleep_until(due).await;
            if due >= end {
                break;
            }
            let began = if behind && period.is_some() { due } else { Instant::now() };
            let (job_id, tenant) = self.jobs.get(turn % self.jobs.len().max(1)).context("there is no job to read")?;
            let mut request = Request::new(GetJobRequest { job_id: job_id.clone() });
            request.metadata_mut().insert("authorization", self.target.callers[*tenant].clone());
            let job = self.client.get_job(request).await?.into_inner().job;
            times.saturating_record(began.elapsed().as_micros() as u64);
            ensure!(job.is_some_and(|job| job.job_id == *job_id), "GetJob answered another job than {job_id}");
            due = period.map_or_else(Instant::now, |period| due + period);
        }
        Ok(times)
    }
}
