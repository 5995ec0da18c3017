//! Submitters: keep sending until they are answered, and remember what they were told.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use holdfast_fault::Received;
use holdfast_proto::jobs::v1::{SubmitJobRequest, SubmitJobResponse};
use rand::{Rng as _, rngs::StdRng};

use crate::client::{Client, may_be_repeated, submission};

const RETRY_AFTER_MAX: Duration = Duration::from_millis(100);
/// Long enough for a server to be started again.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// What a submitter was told: the job of each (tenant, key).
#[derive(Debug, Default)]
pub struct Acknowledged {
    pub jobs: BTreeMap<(String, String), String>,
    /// Calls that had to be sent again.
    pub repeated: usize,
    /// Answers to a repeated call that found the work of a call whose answer was lost.
    pub converged: usize,
}

impl Acknowledged {
    pub fn merge(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.jobs.extend(part.jobs);
            all.repeated += part.repeated;
            all.converged += part.converged;
        }
        all
    }
}

/// The load of one submitter: one job after the other over some projects, through a random instance each.
pub struct Submitter {
    pub name: String,
    pub tenant: String,
    pub projects: Vec<String>,
    pub clients: Vec<Client>,
    /// Between two jobs.
    pub pause: Duration,
}

impl Submitter {
    pub async fn run(self, until: Instant, mut choices: StdRng) -> Result<Acknowledged> {
        let mut acknowledged = Acknowledged::default();
        let mut number = 0;
        while Instant::now() < until {
            number += 1;
            let key = format!("{}-{number}", self.name);
            let project = &self.projects[choices.random_range(0..self.projects.len())];
            let request = submission(&self.tenant, project, &key, &format!(r#"{{"key":"{key}"}}"#));
            let answered = answered(&self.clients, &request, &mut choices).await?;
            acknowledged.repeated += answered.tries - 1;
            acknowledged.converged += usize::from(answered.response.replayed);
            acknowledged.jobs.insert((self.tenant.clone(), key), answered.response.job_id);
            tokio::time::sleep(self.pause).await;
        }
        Ok(acknowledged)
    }
}

pub struct Answered {
    pub response: SubmitJobResponse,
    pub tries: usize,
}

/// Sends one submission under its key until it is answered.
pub async fn answered(clients: &[Client], request: &SubmitJobRequest, choices: &mut StdRng) -> Result<Answered> {
    let began = Instant::now();
    for tries in 1.. {
        let mut client = clients[choices.random_range(0..clients.len())].jobs.clone();
        match client.submit_job(request.clone()).await {
            Ok(response) => return Ok(Answered { response: response.into_inner(), tries }),
            Err(status) => {
                let received = Received::from_status(&status);
                if !may_be_repeated(&received) {
                    bail!("submission {} was refused: {status:?}", request.idempotency_key);
                }
                if began.elapsed() > ANSWERED_WITHIN {
                    bail!("submission {} was not answered: {status:?}", request.idempotency_key);
                }
                let pause = received.retry_after.unwrap_or(RETRY_AFTER_MAX).min(RETRY_AFTER_MAX);
                tokio::time::sleep(pause).await;
            }
        }
    }
    unreachable!("the loop has no end")
}
