//! What PostgreSQL says of its own time: by statement, and what its sessions wait for.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::time::{Instant, sleep};

const LOOK_EVERY: Duration = Duration::from_millis(20);
const STATEMENTS: i64 = 14;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Statement {
    pub role: String,
    /// Its first words.
    pub text: String,
    pub calls: i64,
    pub rows: i64,
    pub planned_ms: f64,
    pub executed_ms: f64,
}

/// The most expensive statements of the time given.
pub async fn statements(admin: &PgPool, length: Duration) -> Result<Vec<Statement>> {
    sqlx::query("SELECT pg_stat_statements_reset()").execute(admin).await?;
    sleep(length).await;
    let rows: Vec<(String, String, i64, i64, f64, f64)> = sqlx::query_as(
        "SELECT rolname::text, query, calls, rows, total_plan_time, total_exec_time
         FROM pg_stat_statements JOIN pg_roles ON pg_roles.oid = userid
         ORDER BY total_plan_time + total_exec_time DESC LIMIT $1",
    )
    .bind(STATEMENTS)
    .fetch_all(admin)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(role, query, calls, rows, planned_ms, executed_ms)| Statement {
            role,
            text: first_words(&query),
            calls,
            rows,
            planned_ms,
            executed_ms,
        })
        .collect())
}

/// The statement without its comments, cut short.
fn first_words(query: &str) -> String {
    let lines = query.lines().map(|line| line.split("--").next().unwrap_or_default());
    let words = lines.flat_map(str::split_whitespace);
    let mut text = String::new();
    for word in words {
        if text.len() + word.len() > 72 {
            text.push_str(" …");
            break;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Wait {
    pub role: String,
    /// Its statement, its type and event; a session that waits for nothing works.
    pub doing: String,
    /// Sessions, on average.
    pub sessions: f64,
}

/// What the sessions that are in a transaction do, sampled for the time given.
pub async fn waits(admin: &PgPool, length: Duration) -> Result<Vec<Wait>> {
    let (mut seen, mut looks) = (BTreeMap::<(String, String), f64>::new(), 0.0);
    let until = Instant::now() + length;
    while Instant::now() < until {
        let sessions: Vec<(String, String)> = sqlx::query_as(
            "SELECT usename::text, coalesce(wait_event_type || ' ' || wait_event, 'working')
             FROM pg_stat_activity
             WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND state <> 'idle'",
        )
        .fetch_all(admin)
        .await?;
        for session in sessions {
            *seen.entry(session).or_default() += 1.0;
        }
        looks += 1.0;
        sleep(LOOK_EVERY).await;
    }
    let mut waits: Vec<Wait> =
        seen.into_iter().map(|((role, doing), count)| Wait { role, doing, sessions: count / looks }).collect();
    waits.sort_by(|a, b| b.sessions.total_cmp(&a.sessions));
    Ok(waits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_known_by_its_first_words() {
        assert_eq!(first_words("-- A comment.\nSELECT 1 -- one\nFROM t"), "SELECT 1 FROM t");
        assert!(first_words(&"word ".repeat(40)).ends_with('…'));
    }
}
