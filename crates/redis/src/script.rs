use aws_lc_rs::digest;
use fred::{
    clients::Client,
    interfaces::LuaInterface,
    types::{FromValue, Value},
};

use crate::{Redis, RedisError};

/// A Lua script, kept as a `.lua` file beside its caller and sent by its hash.
#[derive(Clone, Debug)]
pub struct Script {
    source: &'static str,
    sha1: String,
}

impl Script {
    /// `source` is usually `include_str!("name.lua")`.
    pub fn new(source: &'static str) -> Self {
        let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, source.as_bytes());
        Self { source, sha1: digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect() }
    }

    /// Runs the script on the server that owns `keys`. Where that server has not seen it (a restart, a new primary), it is
    /// sent whole, which also makes it known. Bounded by the command timeout, sent at most once after NOSCRIPT.
    pub async fn run<R: FromValue>(&self, redis: &Redis, keys: Vec<String>, args: Vec<Value>) -> Result<R, RedisError> {
        self.run_on(redis.client(), keys, args).await
    }

    pub(crate) fn sha1(&self) -> &str {
        &self.sha1
    }

    pub(crate) fn source(&self) -> &'static str {
        self.source
    }

    async fn run_on<R: FromValue>(
        &self,
        client: &Client,
        keys: Vec<String>,
        args: Vec<Value>,
    ) -> Result<R, RedisError> {
        match client.evalsha(self.sha1.as_str(), keys.clone(), args.clone()).await {
            Err(error) if error.details().starts_with("NOSCRIPT") => Ok(client.eval(self.source, keys, args).await?),
            answer => Ok(answer?),
        }
    }
}
