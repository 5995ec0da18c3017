//! Clients that take resources, hold them well or badly, and let go of them; and clients that look on.

use std::time::{Duration, Instant};

use anyhow::Result;
use rand::{Rng as _, rngs::StdRng};

use super::{
    client::{Acquired, Answer, Ask, Held, LocksClient},
    stream::Stream,
};

const TRIES_MAX: u32 = 3;
/// Of a hundred turns under a lease, in how many its holder stands still until the lease is stale, and goes on then.
const OVERSTAYED_PERCENT: u32 = 4;
/// Of a hundred leases, how many are never released.
const ABANDONED_PERCENT: u32 = 4;
/// Of a hundred acquisitions, how many are by a stream.
const BY_STREAM_PERCENT: u32 = 40;
const TURNS_MAX: u32 = 3;

#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    pub granted: usize,
    pub by_stream: usize,
    pub not_free: usize,
    pub renewed: usize,
    pub overstayed: usize,
    /// Answered that the lease is over.
    pub over: usize,
    pub unheard: usize,
}

impl Tally {
    pub fn plus(self, other: Self) -> Self {
        Self {
            granted: self.granted + other.granted,
            by_stream: self.by_stream + other.by_stream,
            not_free: self.not_free + other.not_free,
            renewed: self.renewed + other.renewed,
            overstayed: self.overstayed + other.overstayed,
            over: self.over + other.over,
            unheard: self.unheard + other.unheard,
        }
    }

    fn count(&mut self, answer: Answer) {
        match answer {
            Answer::Done => {}
            Answer::Over => self.over += 1,
            Answer::Unheard => self.unheard += 1,
        }
    }
}

/// One holder: one lease after the other.
pub struct Holder {
    pub name: String,
    pub client: LocksClient,
    pub keys: Vec<String>,
    pub ttl: Duration,
}

impl Holder {
    pub async fn run(self, until: Instant, mut choices: StdRng) -> Result<Tally> {
        let mut tally = Tally::default();
        let mut number = 0;
        while Instant::now() < until {
            number += 1;
            let ask = Ask {
                keys: vec![self.keys[choices.random_range(0..self.keys.len())].clone()],
                owner: format!("{}.{number}", self.name),
                ttl: self.ttl,
                // Some do not wait at all.
                wait: Duration::from_millis(choices.random_range(0..2_000_u64).saturating_sub(300)),
                tries_max: TRIES_MAX,
            };
            if choices.random_range(0..100) < BY_STREAM_PERCENT {
                match self.client.hold(&ask, &mut choices).await? {
                    Some(stream) => {
                        tally.granted += 1;
                        tally.by_stream += 1;
                        self.hold_by_stream(stream, &mut tally, &mut choices).await?;
                    }
                    None => tally.not_free += 1,
                }
                continue;
            }
            match self.client.acquire(&ask, &mut choices).await? {
                Acquired::Held(held) => {
                    tally.granted += 1;
                    self.hold(held, &mut tally, &mut choices).await?;
                }
                Acquired::NotFree => tally.not_free += 1,
                Acquired::Unheard => tally.unheard += 1,
            }
        }
        Ok(tally)
    }

    async fn hold(&self, mut held: Held, tally: &mut Tally, choices: &mut StdRng) -> Result<()> {
        for _ in 0..choices.random_range(0..=TURNS_MAX) {
            self.work(held.stale_after(), tally, choices).await;
            let answer = self.client.renew(&mut held, choices).await?;
            tally.renewed += usize::from(answer == Answer::Done);
            tally.count(answer);
            if answer == Answer::Over {
                // It releases what it does not hold, as one may that did not listen.
                break;
            }
        }
        if choices.random_range(0..100) >= ABANDONED_PERCENT {
            tally.count(self.client.release(&held, TRIES_MAX, choices).await?);
        }
        Ok(())
    }

    /// Like [`Holder::hold`], by the stream for as long as it stands.
    async fn hold_by_stream(&self, mut stream: Stream, tally: &mut Tally, choices: &mut StdRng) -> Result<()> {
        for _ in 0..choices.random_range(0..=TURNS_MAX) {
            self.work(stream.held.stale_after(), tally, choices).await;
            let answer = stream.renew().await?;
            tally.renewed += usize::from(answer == Answer::Done);
            tally.count(answer);
            match answer {
                Answer::Done => {}
                // Nothing is released of what is over.
                Answer::Over => return Ok(()),
                Answer::Unheard => return self.hold(stream.break_off(), tally, choices).await,
            }
        }
        if choices.random_range(0..100) >= ABANDONED_PERCENT {
            tally.count(stream.release().await?);
        } else {
            tokio::spawn(stream.hang());
        }
        Ok(())
    }

    /// For a while, or for so long that the lease is stale.
    async fn work(&self, stale_after: Duration, tally: &mut Tally, choices: &mut StdRng) {
        let overstays = choices.random_range(0..100) < OVERSTAYED_PERCENT;
        let pause = if overstays { stale_after } else { Duration::ZERO };
        tally.overstayed += usize::from(overstays);
        let ttl_ms = self.ttl.as_millis() as u64;
        tokio::time::sleep(pause + Duration::from_millis(choices.random_range(0..ttl_ms / 10))).await;
    }
}

/// Looks at one after the other.
pub async fn look_on(client: LocksClient, keys: Vec<String>, until: Instant, mut choices: StdRng) -> Result<usize> {
    let mut looks = 0;
    while Instant::now() < until {
        let key = &keys[choices.random_range(0..keys.len())];
        looks += usize::from(client.look(key, &mut choices).await?.is_some());
        tokio::time::sleep(Duration::from_millis(choices.random_range(1..20))).await;
    }
    Ok(looks)
}
