//! Counts of budgets and rates of callers in Redis: cheap to read, quick to lose, and never what decides about a job.
//!
//! A counter is raised after the commit that counted, to what was counted then. Counts only grow within their period, so raising
//! is repeatable and in any order, and what Redis lost is made good by the next raise or by the comparison with PostgreSQL
//! (`tasks/reconcile_budgets.rs`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use futures::future::join_all;
use holdfast_ids::{ActorId, TenantId};
use holdfast_redis::fred::interfaces::HashesInterface as _;
use holdfast_redis::{Redis, RedisError, Script};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use crate::domain::budget::{BudgetKey, BudgetScope, Count, Period, Spent};
use crate::domain::job::Time;

/// A counter outlives its period for a while: clocks differ.
const KEPT_AFTER: TimeDelta = TimeDelta::days(1);
/// In the list of exceeded budgets: without it the list is not whole, as after a loss.
const WHOLE: &str = "whole";

pub struct Counters {
    redis: Redis,
    scripts: Arc<Scripts>,
    pending: Arc<Pending>,
    _writer: AbortOnDropHandle<()>,
}

struct Scripts {
    raise: Script,
    lower: Script,
    take: Script,
}

/// What is yet to be written; a later count of the same budget replaces an earlier one, which bounds it.
#[derive(Default)]
struct Pending {
    counts: Mutex<HashMap<(BudgetKey, Period), (Spent, bool)>>,
    raised: Notify,
}

impl Pending {
    fn counts(&self) -> MutexGuard<'_, HashMap<(BudgetKey, Period), (Spent, bool)>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counters").finish_non_exhaustive()
    }
}

impl Counters {
    /// Must be called inside a tokio runtime.
    pub fn new(redis: &Redis) -> Self {
        let scripts = Arc::new(Scripts {
            raise: Script::new(include_str!("raise.lua")),
            lower: Script::new(include_str!("lower.lua")),
            take: Script::new(include_str!("take.lua")),
        });
        let pending = Arc::new(Pending::default());
        let writer = tokio::spawn(write_all(redis.clone(), scripts.clone(), pending.clone()));
        Self { redis: redis.clone(), scripts, pending, _writer: AbortOnDropHandle::new(writer) }
    }

    /// Raises counters soon, without waiting for it. With each, whether the budget is exceeded.
    pub fn raise_soon(&self, counts: impl IntoIterator<Item = (Count, bool)>) {
        let mut pending = self.pending.counts();
        for (Count { key, period, spent }, is_exceeded) in counts {
            let (known, was_exceeded) = pending.entry((key, period)).or_default();
            known.tokens = known.tokens.max(spent.tokens);
            known.cost_micro_usd = known.cost_micro_usd.max(spent.cost_micro_usd);
            *was_exceeded |= is_exceeded;
        }
        drop(pending);
        self.pending.raised.notify_one();
    }

    /// What the counter says; None where there is none.
    pub async fn read(&self, key: &BudgetKey, period: Period) -> Result<Option<Spent>, RedisError> {
        let fields = vec!["tokens", "cost"];
        let values: Vec<Option<String>> =
            self.redis.client().hmget(counter(&self.redis, key, period), fields).await.map_err(RedisError::from)?;
        let number = |index: usize| values.get(index)?.as_ref()?.parse().ok();
        Ok(number(0).zip(number(1)).map(|(tokens, cost_micro_usd)| Spent { tokens, cost_micro_usd }))
    }

    /// Raises counters now.
    pub async fn raise(&self, counts: &[Count]) -> Result<(), RedisError> {
        raise_all(&self.redis, &self.scripts, counts.iter()).await
    }

    /// Lowers a counter that says more than is counted, unless it has changed since.
    pub async fn lower(&self, count: &Count, seen: Spent) -> Result<(), RedisError> {
        let args = vec![
            seen.tokens.to_string().into(),
            seen.cost_micro_usd.to_string().into(),
            count.spent.tokens.to_string().into(),
            count.spent.cost_micro_usd.to_string().into(),
            expiry_ms(count.period).into(),
        ];
        let key = counter(&self.redis, &count.key, count.period);
        self.scripts.lower.run::<i64>(&self.redis, vec![key], args).await?;
        Ok(())
    }

    /// The budgets that are exceeded, or were; None where the list is not known to be whole.
    pub async fn exceeded(&self) -> Result<Option<Vec<Count>>, RedisError> {
        let listed = self.listed().await?;
        if !listed.contains_key(WHOLE) {
            return Ok(None);
        }
        let now = Utc::now();
        let counts = listed.iter().filter_map(|(field, value)| parse(field, value));
        Ok(Some(counts.filter(|count| count.period.ends_at > now).collect()))
    }

    async fn listed(&self) -> Result<HashMap<String, String>, RedisError> {
        Ok(self.redis.client().hgetall(self.redis.keys().budgets_exceeded()).await?)
    }

    /// The list as it is now, to be replaced by [`Counters::list_anew`] once it was compared.
    pub async fn exceeded_fields(&self) -> Result<Vec<String>, RedisError> {
        Ok(self.listed().await?.into_keys().filter(|field| field != WHOLE).collect())
    }

    /// Makes the list whole: what is counted as exceeded, and nothing of what was listed before that is not.
    pub async fn list_anew(&self, listed: Vec<String>, exceeded: &[Count]) -> Result<(), RedisError> {
        let (key, client) = (self.redis.keys().budgets_exceeded(), self.redis.client());
        let mut fields: HashMap<String, String> = exceeded.iter().map(entry).collect();
        let gone: Vec<String> = listed.into_iter().filter(|field| !fields.contains_key(field)).collect();
        if !gone.is_empty() {
            client.hdel::<(), _, _>(&key, gone).await?;
        }
        fields.insert(WHOLE.to_owned(), "1".to_owned());
        Ok(client.hset(&key, fields).await?)
    }

    /// Takes `count` from the rate of a caller, all or none; None, or after how long they can be taken.
    pub async fn take(
        &self,
        tenant_id: &TenantId,
        actor_id: &ActorId,
        per_minute: i64,
        count: i64,
    ) -> Result<Option<Duration>, RedisError> {
        let key = self.redis.keys().rate(tenant_id.as_str(), actor_id.as_str());
        let wait_us: i64 = self.scripts.take.run(&self.redis, vec![key], vec![per_minute.into(), count.into()]).await?;
        Ok((wait_us > 0).then(|| Duration::from_micros(wait_us.unsigned_abs())))
    }
}

async fn write_all(redis: Redis, scripts: Arc<Scripts>, pending: Arc<Pending>) {
    loop {
        pending.raised.notified().await;
        let taken: Vec<(Count, bool)> = std::mem::take(&mut *pending.counts())
            .into_iter()
            .map(|((key, period), (spent, is_exceeded))| (Count { key, period, spent }, is_exceeded))
            .collect();
        let exceeded: HashMap<String, String> =
            taken.iter().filter(|(_, is_exceeded)| *is_exceeded).map(|(count, _)| entry(count)).collect();
        let listed = async {
            if exceeded.is_empty() {
                return Ok(());
            }
            let listed = redis.client().hset::<(), _, _>(redis.keys().budgets_exceeded(), exceeded).await;
            listed.map_err(RedisError::from)
        };
        let raised = raise_all(&redis, &scripts, taken.iter().map(|(count, _)| count));
        if let (Err(error), _) | (_, Err(error)) = tokio::join!(raised, listed) {
            // The comparison with PostgreSQL makes it good.
            tracing::debug!(%error, "budget counters not raised");
        }
    }
}

async fn raise_all(redis: &Redis, scripts: &Scripts, counts: impl Iterator<Item = &Count>) -> Result<(), RedisError> {
    let raised = counts.map(|count| {
        let args = vec![
            count.spent.tokens.to_string().into(),
            count.spent.cost_micro_usd.to_string().into(),
            expiry_ms(count.period).into(),
        ];
        scripts.raise.run::<()>(redis, vec![counter(redis, &count.key, count.period)], args)
    });
    join_all(raised).await.into_iter().collect()
}

fn counter(redis: &Redis, key: &BudgetKey, period: Period) -> String {
    let since = period.starts_at.format("%Y%m%d").to_string();
    redis.keys().budget(key.scope.as_str(), key.tenant_id.as_str(), &since, &key.scope_id)
}

fn expiry_ms(period: Period) -> i64 {
    (period.ends_at + KEPT_AFTER).timestamp_millis()
}

/// A field of the list and its value. Neither a tenant nor a time holds a colon; the rest of the field may.
fn entry(count: &Count) -> (String, String) {
    let Count { key, period, spent } = count;
    let (starts_ms, ends_ms) = (period.starts_at.timestamp_millis(), period.ends_at.timestamp_millis());
    (
        format!("{}:{}:{starts_ms}:{}", key.scope.as_str(), key.tenant_id, key.scope_id),
        format!("{ends_ms}:{}:{}", spent.tokens, spent.cost_micro_usd),
    )
}

/// None where somebody else wrote it.
fn parse(field: &str, value: &str) -> Option<Count> {
    let time = |ms: &str| ms.parse().ok().and_then(Time::from_timestamp_millis);
    let mut fields = field.splitn(4, ':');
    let (scope, tenant_id) = (BudgetScope::from_name(fields.next()?)?, TenantId::parse(fields.next()?).ok()?);
    let (starts_at, scope_id) = (time(fields.next()?)?, fields.next()?.to_owned());
    let mut values = value.splitn(3, ':');
    let ends_at = time(values.next()?)?;
    let (tokens, cost_micro_usd) = (values.next()?.parse().ok()?, values.next()?.parse().ok()?);
    Some(Count {
        key: BudgetKey { tenant_id, scope, scope_id },
        period: Period { starts_at, ends_at },
        spent: Spent { tokens, cost_micro_usd },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_is_read_as_it_was_written() {
        let key = BudgetKey {
            tenant_id: TenantId::parse("acme").expect("a tenant"),
            scope: BudgetScope::User,
            // A principal's name may hold what separates.
            scope_id: "oidc:alice:1".to_owned(),
        };
        let period = BudgetScope::User.period("2026-02-03T04:05:06Z".parse().expect("a time")).expect("a day");
        let count = Count { key, period, spent: Spent { tokens: 7, cost_micro_usd: 8 } };
        let (field, value) = entry(&count);
        assert_eq!(parse(&field, &value), Some(count));
        for (field, value) in [(WHOLE, "1"), ("user:acme", "1:2:3"), (field.as_str(), "1:2"), ("nobody:a:1:b", &value)]
        {
            assert_eq!(parse(field, value), None, "{field} {value}");
        }
    }
}
