//! What jobs used, and the counts that budgets are decided by.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use holdfast_ids::{ActorId, IdempotencyKey, JobId, LeaseId, TenantId};
use holdfast_pg::Tx;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use super::rows::corrupt;
use crate::domain::budget::{BudgetKey, BudgetScope, Count, Period, Spent, Usage};
use crate::domain::job::{Facts, Time};

/// A report of usage, as it is looked up.
#[derive(Debug, Clone)]
pub struct UsageAsked {
    pub job_id: JobId,
    pub tenant_id: String,
    pub key: IdempotencyKey,
    /// With its fencing token.
    pub lease: Option<(LeaseId, i64)>,
}

#[derive(Debug, Clone, Default)]
pub struct UsageKnown {
    /// What was recorded under the key, and when.
    pub recorded: Option<(Usage, Time)>,
    /// Whether the lease named was ever the job's. True where none was named.
    pub was_held: bool,
}

/// In the order asked; the jobs are locked.
pub async fn usage_known(tx: &mut Tx, asked: &[UsageAsked]) -> Result<Vec<UsageKnown>, StoreError> {
    let job_ids: Vec<Uuid> = asked.iter().map(|item| item.job_id.as_uuid()).collect();
    let tenants: Vec<String> = asked.iter().map(|item| item.tenant_id.clone()).collect();
    let keys: Vec<String> = asked.iter().map(|item| item.key.to_string()).collect();
    let lease_ids: Vec<Option<Uuid>> = asked.iter().map(|item| item.lease.map(|(id, _)| id.as_uuid())).collect();
    let fences: Vec<Option<i64>> = asked.iter().map(|item| item.lease.map(|(_, fence)| fence)).collect();
    let rows = sqlx::query_file!(
        "src/store/queries/usage_known.sql",
        &job_ids,
        &tenants,
        &keys,
        &lease_ids as _,
        &fences as _,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut known = vec![UsageKnown::default(); asked.len()];
    for row in rows {
        let recorded = row.recorded_at.map(|at| {
            let missing = || corrupt("model_usage", "provider");
            let usage = Usage {
                provider: row.provider.ok_or_else(missing)?,
                model: row.model.ok_or_else(missing)?,
                input_tokens: row.input_tokens.ok_or_else(missing)?,
                output_tokens: row.output_tokens.ok_or_else(missing)?,
                cost_micro_usd: row.cost_micro_usd.ok_or_else(missing)?,
            };
            Ok::<_, StoreError>((usage, at))
        });
        known[row.ordinal as usize - 1] = UsageKnown { recorded: recorded.transpose()?, was_held: row.was_held };
    }
    Ok(known)
}

/// A report of usage that nothing was recorded under before.
#[derive(Debug)]
pub struct NewUsage<'a> {
    pub job: &'a Facts,
    pub key: &'a IdempotencyKey,
    pub usage: &'a Usage,
    pub lease_id: Option<LeaseId>,
    pub actor_id: &'a ActorId,
    pub recorded_at: Time,
    pub request_id: &'a str,
    pub traceparent: &'a str,
}

/// Records usage of locked jobs; answers what each of them has used with it.
pub async fn usage_insert(tx: &mut Tx, news: &[NewUsage<'_>]) -> Result<HashMap<JobId, Spent>, StoreError> {
    fn texts<'a>(news: &'a [NewUsage<'_>], text: impl Fn(&'a NewUsage<'_>) -> &'a str) -> Vec<String> {
        news.iter().map(|new| text(new).to_owned()).collect()
    }
    fn numbers(news: &[NewUsage<'_>], number: fn(&Usage) -> i64) -> Vec<i64> {
        news.iter().map(|new| number(new.usage)).collect()
    }
    let job_ids: Vec<Uuid> = news.iter().map(|new| new.job.job_id.as_uuid()).collect();
    let lease_ids: Vec<Option<Uuid>> = news.iter().map(|new| new.lease_id.map(|id| id.as_uuid())).collect();
    let times: Vec<Time> = news.iter().map(|new| new.recorded_at).collect();
    let rows = sqlx::query_file!(
        "src/store/queries/usage_insert.sql",
        &job_ids,
        &texts(news, |new| new.key.as_str()),
        &texts(news, |new| new.job.tenant_id.as_str()),
        &texts(news, |new| new.job.project_id.as_str()),
        &texts(news, |new| new.job.actor_id.as_str()),
        &texts(news, |new| &new.usage.provider),
        &texts(news, |new| &new.usage.model),
        &numbers(news, |usage| usage.input_tokens),
        &numbers(news, |usage| usage.output_tokens),
        &numbers(news, |usage| usage.cost_micro_usd),
        &lease_ids as _,
        &texts(news, |new| new.actor_id.as_str()),
        &times,
        &texts(news, |new| new.request_id),
        &texts(news, |new| new.traceparent),
    )
    .fetch_all(&mut **tx)
    .await?;
    let spent = |tokens, cost_micro_usd| Spent { tokens, cost_micro_usd };
    Ok(rows.into_iter().map(|row| (JobId::from_uuid(row.job_id), spent(row.tokens, row.cost_micro_usd))).collect())
}

/// What jobs have used; those that have used nothing are left out. For decisions in their own transaction, and for reports on
/// any that reads.
pub async fn job_usage_get(
    tx: &mut PgConnection,
    jobs: &[(JobId, TenantId)],
) -> Result<HashMap<JobId, Spent>, StoreError> {
    let job_ids: Vec<Uuid> = jobs.iter().map(|(job_id, _)| job_id.as_uuid()).collect();
    let tenants: Vec<String> = jobs.iter().map(|(_, tenant_id)| tenant_id.to_string()).collect();
    let rows = sqlx::query_file!("src/store/queries/job_usage_get.sql", &job_ids, &tenants).fetch_all(&mut *tx).await?;
    let spent = |tokens, cost_micro_usd| Spent { tokens, cost_micro_usd };
    Ok(rows.into_iter().map(|row| (JobId::from_uuid(row.job_id), spent(row.tokens, row.cost_micro_usd))).collect())
}

/// The key's columns, one array each.
#[derive(Default)]
struct KeyColumns {
    tenant_id: Vec<String>,
    scope: Vec<String>,
    scope_id: Vec<String>,
}

impl<'a> FromIterator<&'a BudgetKey> for KeyColumns {
    fn from_iter<I: IntoIterator<Item = &'a BudgetKey>>(keys: I) -> Self {
        let mut c = Self::default();
        for key in keys {
            c.tenant_id.push(key.tenant_id.to_string());
            c.scope.push(key.scope.as_str().to_owned());
            c.scope_id.push(key.scope_id.clone());
        }
        c
    }
}

/// Columns as they are read, into a count.
macro_rules! count {
    ($row:ident) => {
        Ok::<_, StoreError>(Count {
            key: BudgetKey {
                tenant_id: TenantId::parse(&$row.tenant_id).map_err(|_| corrupt("budget_usage", "tenant_id"))?,
                scope: BudgetScope::from_name(&$row.scope).ok_or_else(|| corrupt("budget_usage", "scope"))?,
                scope_id: $row.scope_id,
            },
            period: Period { starts_at: $row.period_start, ends_at: $row.period_end },
            spent: Spent { tokens: $row.tokens, cost_micro_usd: $row.cost_micro_usd },
        })
    };
}

/// Adds to counts, given in the order of their keys: what each adds, and how many reports that is. Answers what is counted
/// then, and whether it was known to be over its limit before.
pub async fn budgets_add(
    tx: &mut Tx,
    added: impl ExactSizeIterator<Item = (&(BudgetKey, Period), &(Spent, i64))> + Clone,
) -> Result<Vec<(Count, bool)>, StoreError> {
    let keys: KeyColumns = added.clone().map(|((key, _), _)| key).collect();
    let starts: Vec<Time> = added.clone().map(|((_, period), _)| period.starts_at).collect();
    let ends: Vec<Time> = added.clone().map(|((_, period), _)| period.ends_at).collect();
    let tokens: Vec<i64> = added.clone().map(|(_, (spent, _))| spent.tokens).collect();
    let costs: Vec<i64> = added.clone().map(|(_, (spent, _))| spent.cost_micro_usd).collect();
    let entries: Vec<i64> = added.map(|(_, (_, entries))| *entries).collect();
    let rows = sqlx::query_file!(
        "src/store/queries/budgets_add.sql",
        &keys.tenant_id,
        &keys.scope,
        &keys.scope_id,
        &starts,
        &ends,
        &tokens,
        &costs,
        &entries,
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter().map(|row| Ok((count!(row)?, row.is_marked))).collect()
}

/// Marks counts as found over their limit: one by one, in the order in which they are locked where they are raised. A join would
/// leave the order to the plan. There are few: each is marked once in its period.
pub async fn budgets_mark(tx: &mut Tx, counts: &[Count]) -> Result<(), StoreError> {
    let counts: BTreeSet<(&BudgetKey, Period)> = counts.iter().map(|count| (&count.key, count.period)).collect();
    for (key, period) in counts {
        sqlx::query_file!(
            "src/store/queries/budgets_mark.sql",
            key.tenant_id.as_str(),
            key.scope.as_str(),
            key.scope_id,
            period.starts_at
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// How budgets stand in the period that it is, in the order asked, and the time; None where nothing is counted yet. Like
/// [`job_usage_get`] for decisions and for reports.
pub async fn budgets_get(tx: &mut PgConnection, keys: &[BudgetKey]) -> Result<(Vec<Option<Count>>, Time), StoreError> {
    let columns: KeyColumns = keys.iter().collect();
    let rows =
        sqlx::query_file!("src/store/queries/budgets_get.sql", &columns.tenant_id, &columns.scope, &columns.scope_id)
            .fetch_all(&mut *tx)
            .await?;
    let mut counts = vec![None; keys.len()];
    let mut now = Time::UNIX_EPOCH;
    for row in rows {
        let position = row.ordinal as usize - 1;
        now = row.now;
        let (Some(starts_at), Some(ends_at)) = (row.period_start, row.period_end) else { continue };
        let (tokens, cost_micro_usd) = (row.tokens.unwrap_or_default(), row.cost_micro_usd.unwrap_or_default());
        counts[position] = Some(Count {
            key: keys[position].clone(),
            period: Period { starts_at, ends_at },
            spent: Spent { tokens, cost_micro_usd },
        });
    }
    Ok((counts, now))
}

/// Where a page begins: by the end of the period, tenant, scope and its id.
fn behind(after: Option<&Count>) -> (Time, &str, &str, &str) {
    after.map_or((Time::UNIX_EPOCH, "", "", ""), |Count { key, period, .. }| {
        (period.ends_at, key.tenant_id.as_str(), key.scope.as_str(), &key.scope_id)
    })
}

/// A page of the counts that were marked, of all tenants and of periods that are not over, behind the count given.
pub async fn budgets_breached(tx: &mut Tx, after: Option<&Count>, counts_max: i64) -> Result<Vec<Count>, StoreError> {
    let (ends_at, tenant_id, scope, scope_id) = behind(after);
    let rows =
        sqlx::query_file!("src/store/queries/budgets_breached.sql", ends_at, tenant_id, scope, scope_id, counts_max,)
            .fetch_all(&mut **tx)
            .await?;
    rows.into_iter().map(|row| count!(row)).collect()
}

/// Counts that were marked and whose jobs are to be looked for now; and the time.
pub async fn budgets_due(tx: &mut Tx, counts_max: i64) -> Result<(Vec<Count>, Time), StoreError> {
    let rows = sqlx::query_file!("src/store/queries/budgets_due.sql", counts_max).fetch_all(&mut **tx).await?;
    let now = rows.first().map_or(Time::UNIX_EPOCH, |row| row.now);
    Ok((rows.into_iter().map(|row| count!(row)).collect::<Result<_, _>>()?, now))
}

/// Jobs were looked for, at that time, on behalf of these counts; each with whether it was over its limit.
pub async fn budgets_swept(tx: &mut Tx, counts: &[(Count, bool)], now: Time) -> Result<(), StoreError> {
    let mut counts: Vec<&(Count, bool)> = counts.iter().collect();
    counts.sort_by(|(one, _), (other, _)| (&one.key, one.period).cmp(&(&other.key, other.period)));
    let keys: KeyColumns = counts.iter().map(|(count, _)| &count.key).collect();
    let starts: Vec<Time> = counts.iter().map(|(count, _)| count.period.starts_at).collect();
    let tokens: Vec<i64> = counts.iter().map(|(count, _)| count.spent.tokens).collect();
    let costs: Vec<i64> = counts.iter().map(|(count, _)| count.spent.cost_micro_usd).collect();
    let exceeded: Vec<bool> = counts.iter().map(|(_, is_exceeded)| *is_exceeded).collect();
    sqlx::query_file!(
        "src/store/queries/budgets_swept.sql",
        &keys.tenant_id,
        &keys.scope,
        &keys.scope_id,
        &starts,
        &tokens,
        &costs,
        &exceeded,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A page of all counts of periods that are not over, behind the count given; and whether each is
/// marked.
pub async fn budgets_running(
    tx: &mut Tx,
    after: Option<&Count>,
    counts_max: i64,
) -> Result<Vec<(Count, bool)>, StoreError> {
    let (ends_at, tenant_id, scope, scope_id) = behind(after);
    let rows =
        sqlx::query_file!("src/store/queries/budgets_running.sql", ends_at, tenant_id, scope, scope_id, counts_max,)
            .fetch_all(&mut **tx)
            .await?;
    rows.into_iter().map(|row| Ok((count!(row)?, row.is_marked))).collect()
}

/// Takes away sums of periods that ended so long ago; answers how many.
pub async fn budgets_prune(tx: &mut Tx, kept: Duration, counts_max: i64) -> Result<u64, StoreError> {
    let kept_s = kept.as_secs().cast_signed();
    let pruned =
        sqlx::query_file!("src/store/queries/budgets_prune.sql", kept_s, counts_max).execute(&mut **tx).await?;
    Ok(pruned.rows_affected())
}

/// What is counted now for these, in their order.
pub async fn budgets_look(tx: &mut Tx, counts: &[Count]) -> Result<Vec<Spent>, StoreError> {
    let keys: KeyColumns = counts.iter().map(|count| &count.key).collect();
    let starts: Vec<Time> = counts.iter().map(|count| count.period.starts_at).collect();
    let rows =
        sqlx::query_file!("src/store/queries/budgets_look.sql", &keys.tenant_id, &keys.scope, &keys.scope_id, &starts)
            .fetch_all(&mut **tx)
            .await?;
    let mut spent = vec![Spent::default(); counts.len()];
    for row in rows {
        spent[row.ordinal as usize - 1] = Spent { tokens: row.tokens, cost_micro_usd: row.cost_micro_usd };
    }
    Ok(spent)
}
