//! Redis: old enough, evicting, forgetting?

use std::{collections::BTreeMap, time::Duration};

use holdfast_redis::{
    Redis, RedisConfig, RedisError,
    fred::{interfaces::ClientLike, types::CustomCommand},
};

use super::probe::{Finding, Verdict};

const PATIENCE: Duration = Duration::from_secs(5);
const VERSION_MIN: u32 = 7;

pub(super) async fn examine(url: &str) -> Vec<Finding> {
    match ask(url).await {
        Ok(info) => judge(&info),
        Err(error) => vec![Finding::bad("Redis", error.to_string())],
    }
}

async fn ask(url: &str) -> Result<BTreeMap<String, String>, RedisError> {
    let redis = Redis::connect(&RedisConfig { connections: 1, ..RedisConfig::new(url, "hf:doctor") })?;
    redis.wait_until_connected(PATIENCE).await?;
    let info: String =
        redis.client().custom(CustomCommand::new_static("INFO", None, false), Vec::<String>::new()).await?;
    let pairs = info.lines().filter_map(|line| line.split_once(':'));
    Ok(pairs.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect())
}

fn judge(info: &BTreeMap<String, String>) -> Vec<Finding> {
    let value = |key: &str| info.get(key).map_or("unknown", String::as_str);
    let version = value("redis_version");
    let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or_default();
    let (policy, aof, write) = (value("maxmemory_policy"), value("aof_enabled"), value("aof_last_write_status"));
    let role = value("role");
    vec![
        Finding::expect("Redis", version, major >= VERSION_MIN, Verdict::Bad, "7 or later"),
        Finding::expect("role", role, role == "master", Verdict::Bad, "master: a replica takes no writes"),
        Finding::expect(
            "maxmemory-policy",
            policy,
            policy == "noeviction",
            Verdict::Bad,
            "noeviction: an evicted stream is published again",
        ),
        Finding::expect(
            "appendonly",
            if aof == "1" { "yes" } else { "no" },
            aof == "1",
            Verdict::Warning,
            "yes: a restart publishes everything again otherwise",
        ),
        Finding::expect("last write of it", write, write == "ok", Verdict::Bad, "ok: look at the server's disk"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_that_evicts_fails_and_one_that_forgets_is_warned_of() {
        let info = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let sound: BTreeMap<_, _> = info(&[
            ("redis_version", "7.0.15"),
            ("role", "master"),
            ("maxmemory_policy", "noeviction"),
            ("aof_enabled", "1"),
            ("aof_last_write_status", "ok"),
        ]);
        assert!(judge(&sound).iter().all(|finding| finding.verdict == Verdict::Good));
        let mut poor = sound;
        poor.extend(info(&[("maxmemory_policy", "allkeys-lru"), ("aof_enabled", "0")]));
        let verdicts: Vec<Verdict> = judge(&poor).iter().map(|finding| finding.verdict).collect();
        assert_eq!(verdicts, [Verdict::Good, Verdict::Good, Verdict::Bad, Verdict::Warning, Verdict::Good]);
    }
}
