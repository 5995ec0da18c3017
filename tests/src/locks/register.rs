//! The published experiment on locks of etcd, as a process to be paused: a register that is read, added to and written
//! back under a lock, by holders that never ask whether they still hold it.
//!
//! Fenced, the register follows the rule of resources: it keeps the highest token that it was shown, by reads as well as by
//! writes, and compares in the statement that writes. A read that shows no token would let an earlier holder write between
//! it and its own write.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, bail};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde::{Deserialize, Serialize};
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::time::Instant;

use holdfast_testkit::{Process, ProcessSpec};

use super::{
    client::{Acquired, Ask, LocksClient},
    history::Recorder,
};

/// Between reading and writing: most of the time that the lock is held.
const WORK_MS: std::ops::Range<u64> = 200..500;
const WAIT: Duration = Duration::from_secs(20);
/// What its last line begins with.
const TALLY: &str = "tally: ";

/// What a holder process is told, as its one argument in JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HolderSpec {
    pub number: usize,
    pub endpoints: Vec<String>,
    pub token: String,
    pub database_url: String,
    pub register: String,
    pub fenced: bool,
    pub lease_ttl_ms: u64,
    pub seconds: u64,
    pub seed: u64,
}

/// What a holder did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Additions that the register took.
    pub added: i64,
    /// Reads and writes that it refused for their token.
    pub refused: i64,
}

impl HolderSpec {
    pub fn process(&self) -> Result<ProcessSpec> {
        Ok(ProcessSpec::new("proof-holder", "holdfast-system-tests").argument(serde_json::to_string(self)?))
    }

    /// Begins every owner label of the process.
    pub fn label(number: usize) -> String {
        format!("holder-{number}.")
    }
}

/// What the process wrote at its end.
pub fn tally(process: &Process) -> Result<Tally> {
    let log = process.log();
    let Some(line) = log.lines().find_map(|line| line.strip_prefix(TALLY)) else { bail!("no tally in {log}") };
    Ok(serde_json::from_str(line)?)
}

pub async fn create(admin: &PgPool) -> Result<()> {
    sqlx::query(
        "CREATE TABLE public.proof_register (name text PRIMARY KEY, value bigint NOT NULL, fence bigint NOT NULL)",
    )
    .execute(admin)
    .await?;
    Ok(())
}

pub async fn add(admin: &PgPool, register: &str) -> Result<()> {
    sqlx::query("INSERT INTO public.proof_register VALUES ($1, 0, 0)").bind(register).execute(admin).await?;
    Ok(())
}

pub async fn value(admin: &PgPool, register: &str) -> Result<i64> {
    let value = sqlx::query_scalar("SELECT value FROM public.proof_register WHERE name = $1").bind(register);
    Ok(value.fetch_one(admin).await?)
}

/// Runs for its time.
pub async fn run(spec: HolderSpec) -> Result<()> {
    let mut choices = StdRng::seed_from_u64(spec.seed ^ spec.number as u64);
    let client = LocksClient::new(spec.endpoints.clone(), &spec.token, Arc::new(Recorder::default()))?;
    let mut database = PgConnection::connect(&spec.database_url).await?;
    let until = Instant::now() + Duration::from_secs(spec.seconds);
    let mut tally = Tally::default();
    for turn in 0.. {
        if Instant::now() >= until {
            break;
        }
        let ask = Ask {
            keys: vec![spec.register.clone()],
            owner: format!("{}{turn}", HolderSpec::label(spec.number)),
            ttl: Duration::from_millis(spec.lease_ttl_ms),
            wait: WAIT,
            tries_max: 3,
        };
        let Acquired::Held(held) = client.acquire(&ask, &mut choices).await? else { continue };
        let token = spec.fenced.then_some(held.fences[0].cast_signed());
        let added = match read(&mut database, &spec.register, token).await? {
            Some(value) => {
                tokio::time::sleep(Duration::from_millis(choices.random_range(WORK_MS))).await;
                write(&mut database, &spec.register, value + 1, token).await?
            }
            None => false,
        };
        *(if added { &mut tally.added } else { &mut tally.refused }) += 1;
        client.release(&held, 1, &mut choices).await?;
    }
    println!("{TALLY}{}", serde_json::to_string(&tally)?);
    Ok(())
}

/// Nothing where the register has seen a higher token.
async fn read(database: &mut PgConnection, register: &str, token: Option<i64>) -> Result<Option<i64>> {
    let Some(token) = token else {
        let value = sqlx::query_scalar("SELECT value FROM public.proof_register WHERE name = $1").bind(register);
        return Ok(Some(value.fetch_one(database).await?));
    };
    let shown = "UPDATE public.proof_register SET fence = $2 WHERE name = $1 AND fence <= $2 RETURNING value";
    Ok(sqlx::query_scalar(shown).bind(register).bind(token).fetch_optional(database).await?)
}

/// Whether the register took it.
async fn write(database: &mut PgConnection, register: &str, value: i64, token: Option<i64>) -> Result<bool> {
    let written = match token {
        None => sqlx::query("UPDATE public.proof_register SET value = $2 WHERE name = $1").bind(register).bind(value),
        Some(token) => {
            let fenced = "UPDATE public.proof_register SET value = $2, fence = $3 WHERE name = $1 AND fence <= $3";
            sqlx::query(fenced).bind(register).bind(value).bind(token)
        }
    };
    Ok(written.execute(database).await?.rows_affected() == 1)
}
