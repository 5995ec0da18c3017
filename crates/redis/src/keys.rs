//! The grammar of keys: every key and channel of Holdfast is built here.
//!
//! | built | what |
//! |---|---|
//! | `{<prefix>:<domain>:<shard>}:events` | the stream of a shard |
//! | `{<prefix>:<domain>:<shard>}:head` | beside it, in the same slot: the epoch, life and last entry of the stream |
//! | `<prefix>:budget:<scope>:<tenant>:<since>:<id>` | what is counted for a budget in a period |
//! | `<prefix>:budgets:exceeded` | the budgets that are exceeded |
//! | `<prefix>:rate:<tenant>:<actor>` | the rate of a caller |
//! | `<prefix>:lock:<tenant>:<project>:<class>:<resource>` | the mirror of a lock |
//! | `<prefix>:lock-order:registry` | the order in which classes are locked |
//! | `<prefix>:lock-mirror:incarnation` | whose locks the mirror holds |
//! | `<prefix>:wake:outbox:<domain>` | hint: an outbox has new rows |
//! | `<prefix>:wake:ready:<domain>` | hint: work became ready |
//! | `<prefix>:wake:revoked:<domain>` | hint: a lease was revoked, with its id |
//! | `<prefix>:wake:projects:<domain>` | hint: settings of a project were changed |
//! | `<prefix>:wake:budgets:<domain>` | hint: a budget was exceeded |
//! | `<prefix>:wake:freed:<domain>` | hint: a resource may have become free, with its name |

use std::sync::Arc;

/// Builds keys under one prefix. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    prefix: Arc<str>,
}

/// The two keys of one shard's stream; they live in one cluster slot, so that a script may hold both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamKeys {
    /// A stream; also the name that its entries' signatures cover.
    pub events: String,
    /// A hash with the fields `epoch`, `incarnation` and `last`.
    pub head: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 characters of [a-z0-9:._-]")]
pub struct KeysError;

impl Keys {
    pub fn new(prefix: &str) -> Result<Self, KeysError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b":._-".contains(&byte);
        // A brace in the prefix would move every stream of an environment into one cluster slot.
        if prefix.is_empty() || prefix.len() > 64 || !prefix.bytes().all(allowed) {
            return Err(KeysError);
        }
        Ok(Self { prefix: prefix.into() })
    }

    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    pub fn stream(&self, domain: &str, shard: u16) -> StreamKeys {
        let tag = format!("{{{}:{domain}:{shard}}}", self.prefix);
        StreamKeys { events: format!("{tag}:events"), head: format!("{tag}:head") }
    }

    /// `since`: the day on which the period begins. The id comes last: it may hold what separates.
    pub fn budget(&self, scope: &str, tenant: &str, since: &str, id: &str) -> String {
        format!("{}:budget:{scope}:{tenant}:{since}:{id}", self.prefix)
    }

    pub fn budgets_exceeded(&self) -> String {
        format!("{}:budgets:exceeded", self.prefix)
    }

    pub fn rate(&self, tenant: &str, actor: &str) -> String {
        format!("{}:rate:{tenant}:{actor}", self.prefix)
    }

    /// The resource comes last: it may hold what separates.
    pub fn lock(&self, tenant: &str, project: &str, class: &str, resource: &str) -> String {
        format!("{}:lock:{tenant}:{project}:{class}:{resource}", self.prefix)
    }

    pub fn lock_registry(&self) -> String {
        format!("{}:lock-order:registry", self.prefix)
    }

    /// Not under `lock:`, where a lock could have its name.
    pub fn lock_marker(&self) -> String {
        format!("{}:lock-mirror:incarnation", self.prefix)
    }

    pub fn wake_outbox(&self, domain: &str) -> String {
        format!("{}:wake:outbox:{domain}", self.prefix)
    }

    pub fn wake_ready(&self, domain: &str) -> String {
        format!("{}:wake:ready:{domain}", self.prefix)
    }

    pub fn wake_revoked(&self, domain: &str) -> String {
        format!("{}:wake:revoked:{domain}", self.prefix)
    }

    pub fn wake_projects(&self, domain: &str) -> String {
        format!("{}:wake:projects:{domain}", self.prefix)
    }

    pub fn wake_budgets(&self, domain: &str) -> String {
        format!("{}:wake:budgets:{domain}", self.prefix)
    }

    pub fn wake_freed(&self, domain: &str) -> String {
        format!("{}:wake:freed:{domain}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_has_its_stream_and_head_in_one_slot() {
        let keys = Keys::new("hf:test").unwrap().stream("jobs", 7);
        assert_eq!(keys.events, "{hf:test:jobs:7}:events");
        assert_eq!(keys.head, "{hf:test:jobs:7}:head");
    }

    #[test]
    fn no_two_callers_and_no_two_budgets_share_a_key() {
        let keys = Keys::new("hf:test").unwrap();
        assert_eq!(keys.rate("acme", "oidc:alice"), "hf:test:rate:acme:oidc:alice");
        assert_eq!(
            keys.budget("user", "acme", "20260203", "oidc:alice"),
            "hf:test:budget:user:acme:20260203:oidc:alice"
        );
        assert_ne!(keys.budget("user", "acme", "20260203", "a"), keys.budget("user", "acme", "20260204", "a"));
    }

    #[test]
    fn channels_carry_the_prefix() {
        let keys = Keys::new("hf:test").unwrap();
        assert_eq!(keys.wake_outbox("jobs"), "hf:test:wake:outbox:jobs");
        assert_eq!(keys.wake_ready("jobs"), "hf:test:wake:ready:jobs");
        assert_eq!(keys.wake_revoked("jobs"), "hf:test:wake:revoked:jobs");
        assert_eq!(keys.wake_projects("jobs"), "hf:test:wake:projects:jobs");
        assert_eq!(keys.wake_budgets("jobs"), "hf:test:wake:budgets:jobs");
        assert_eq!(keys.wake_freed("locks"), "hf:test:wake:freed:locks");
    }

    #[test]
    fn no_lock_has_the_name_of_what_is_beside_them() {
        let keys = Keys::new("hf:test").unwrap();
        assert_eq!(keys.lock("acme", "alpha", "host", "rack:7:eth0"), "hf:test:lock:acme:alpha:host:rack:7:eth0");
        assert_eq!(keys.lock_registry(), "hf:test:lock-order:registry");
        assert_eq!(keys.lock_marker(), "hf:test:lock-mirror:incarnation");
        for beside in [keys.lock_registry(), keys.lock_marker()] {
            assert!(!beside.starts_with("hf:test:lock:"), "{beside}");
        }
    }

    #[test]
    fn a_prefix_outside_the_alphabet_is_refused() {
        for prefix in ["", "hf{dev}", "hf dev", "HF", &"a".repeat(65)] {
            assert_eq!(Keys::new(prefix), Err(KeysError), "{prefix:?}");
        }
    }
}
