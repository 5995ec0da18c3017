//! Configuration: a TOML file below environment variables, secrets from files of their own, checked at start.
//!
//! `HOLDFAST_JOBS__LEASES__TTL_MS=5000` sets `leases.ttl_ms` of the service `jobs`; a value that begins with `[` or `{`
//! is read as JSON. A key whose last word is url, password, secret, token, key or certificate may be given as
//! `<key>_file`, the path of a file that holds the value. Unknown keys and values that do not fit are refused by name.

use std::{
    fmt, fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use config::{Config, File, FileFormat, Value, ValueKind};
use holdfast_caller::{KeySource, VerifierConfig};
use serde::{Deserialize, de::DeserializeOwned};

/// Last words of keys that hold secrets, or what is kept in files like them.
const SECRET_WORDS: [&str; 6] = ["url", "password", "secret", "token", "key", "certificate"];

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("configuration: {0}")]
    Source(#[from] config::ConfigError),
    #[error("{key}: {problem}")]
    Value { key: String, problem: String },
}

impl ConfigError {
    pub fn value(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Value { key: key.into(), problem: problem.into() }
    }
}

/// Reads the configuration of a service, named as in its schema: `jobs`.
pub fn load_config<T: DeserializeOwned>(service: &str, file: Option<&Path>) -> Result<T, ConfigError> {
    load_from(
        service,
        file,
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    )
}

/// As [`load_config`], with the environment given.
fn load_from<T: DeserializeOwned>(
    service: &str,
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<T, ConfigError> {
    let mut builder = Config::builder();
    if let Some(path) = file {
        builder = builder.add_source(File::from(path).format(FileFormat::Toml));
    }
    let prefix = format!("HOLDFAST_{}__", service.to_uppercase());
    for (name, value) in environment {
        if let Some(name) = name.strip_prefix(&prefix) {
            let key = name.to_lowercase().replace("__", ".");
            let value = environment_value(&key, value)?;
            builder = builder.set_override(&key, value)?;
        }
    }
    let mut root = builder.build()?.try_deserialize::<Value>()?;
    read_secret_files(&mut root, "")?;
    serde_path_to_error::deserialize(root).map_err(|error| {
        let path = error.path().to_string();
        ConfigError::value(if path == "." { service.to_owned() } else { path }, problem(error.into_inner()))
    })
}

fn environment_value(key: &str, value: String) -> Result<Value, ConfigError> {
    if !value.starts_with(['[', '{']) {
        return Ok(Value::new(None, value));
    }
    serde_json::from_str(&value).map_err(|error| ConfigError::value(key, format!("not JSON: {error}")))
}

/// Puts the content of every `<key>_file` into its `<key>`.
fn read_secret_files(value: &mut Value, path: &str) -> Result<(), ConfigError> {
    match &mut value.kind {
        ValueKind::Table(table) => {
            let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            for (key, child) in table.iter_mut() {
                read_secret_files(child, &below(key))?;
            }
            let files: Vec<String> = table.keys().filter(|key| secret_of(key).is_some()).cloned().collect();
            for file_key in files {
                let Some((key, file)) = secret_of(&file_key).zip(table.remove(&file_key)) else { continue };
                if table.contains_key(key) {
                    return Err(ConfigError::value(below(key), format!("is set, and so is {file_key}")));
                }
                let content = read_secret(&below(&file_key), file)?;
                table.insert(key.to_owned(), Value::new(None, content));
            }
        }
        ValueKind::Array(elements) => {
            for (index, element) in elements.iter_mut().enumerate() {
                read_secret_files(element, &format!("{path}[{index}]"))?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn secret_of(file_key: &str) -> Option<&str> {
    let key = file_key.strip_suffix("_file")?;
    let last_word = key.rsplit('_').next()?;
    SECRET_WORDS.contains(&last_word).then_some(key)
}

fn read_secret(file_key: &str, file: Value) -> Result<String, ConfigError> {
    let path = file.into_string().map_err(|_| ConfigError::value(file_key, "must be a path"))?;
    let content = fs::read_to_string(&path);
    let content = content.map_err(|error| ConfigError::value(file_key, format!("{path}: {error}")))?;
    let content = content.trim_end_matches(['\n', '\r']);
    if content.is_empty() {
        Err(ConfigError::value(file_key, format!("{path}: empty")))
    } else {
        Ok(content.to_owned())
    }
}

/// What is wrong, without the value: it may be a secret.
fn problem(error: config::ConfigError) -> String {
    match error {
        config::ConfigError::At { error, .. } => problem(*error),
        config::ConfigError::Type { expected, .. } => format!("must be {expected}"),
        config::ConfigError::Message(message) => message,
        config::ConfigError::NotFound(key) => format!("{key} is missing"),
        other => other.to_string(),
    }
}

/// `[grpc]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcConfig {
    pub listen: SocketAddr,
    /// Absent: plain HTTP/2, for a mesh or a trusted network.
    pub tls: Option<TlsConfig>,
    /// Calls at once on one connection.
    pub concurrent_streams_max: u32,
    /// How often a quiet connection is asked whether it still lives.
    pub keepalive_interval_ms: u64,
    pub keepalive_timeout_ms: u64,
    /// The longest that a unary call may take, and the deadline of one that names none.
    pub deadline_max_ms: u64,
    /// How long calls may go on after the signal to stop.
    pub drain_timeout_ms: u64,
}

impl Default for GrpcConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7100)),
            tls: None,
            concurrent_streams_max: 1024,
            keepalive_interval_ms: 20_000,
            keepalive_timeout_ms: 10_000,
            deadline_max_ms: 30_000,
            drain_timeout_ms: 20_000,
        }
    }
}

impl GrpcConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        const HOUR_MS: u64 = 3_600_000;
        let settings = [
            ("grpc.concurrent_streams_max", u64::from(self.concurrent_streams_max), 1..=1_000_000),
            ("grpc.keepalive_interval_ms", self.keepalive_interval_ms, 1000..=HOUR_MS),
            ("grpc.keepalive_timeout_ms", self.keepalive_timeout_ms, 1000..=HOUR_MS),
            ("grpc.deadline_max_ms", self.deadline_max_ms, 1..=HOUR_MS),
            ("grpc.drain_timeout_ms", self.drain_timeout_ms, 0..=HOUR_MS),
        ];
        match settings.into_iter().find(|(_, value, range)| !range.contains(value)) {
            Some((key, _, range)) => {
                Err(ConfigError::value(key, format!("must be between {} and {}", range.start(), range.end())))
            }
            None => Ok(()),
        }
    }

    pub fn deadline_max(&self) -> Duration {
        Duration::from_millis(self.deadline_max_ms)
    }

    pub fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }
}

/// `[grpc.tls]`: both in PEM, usually given as `certificate_file` and `key_file`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The server's certificate and the chain above it.
    pub certificate: String,
    pub key: String,
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConfig(..)")
    }
}

/// `[http]`: probes and metrics.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    pub listen: SocketAddr,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7180)) }
    }
}

/// `[auth]`: whose tokens are good here.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// What a token's `iss` must be.
    pub issuer: String,
    /// What a token's `aud` must hold.
    pub audience: String,
    /// The issuer's JSON web key set, as a file that is watched.
    pub keys_file: Option<PathBuf>,
    /// Or where it is published.
    pub keys_url: Option<String>,
}

impl AuthConfig {
    /// What [`Verifier::new`](holdfast_caller::Verifier::new) takes.
    pub fn verifier(&self) -> Result<VerifierConfig, ConfigError> {
        for (key, value) in [("auth.issuer", &self.issuer), ("auth.audience", &self.audience)] {
            if value.is_empty() {
                return Err(ConfigError::value(key, "is empty"));
            }
        }
        let keys = match (&self.keys_file, &self.keys_url) {
            (Some(path), None) => KeySource::File(path.clone()),
            (None, Some(url)) => KeySource::Url(url.clone()),
            (None, None) => return Err(ConfigError::value("auth.keys_file", "is missing, and so is auth.keys_url")),
            (Some(_), Some(_)) => return Err(ConfigError::value("auth.keys_file", "is set, and so is auth.keys_url")),
        };
        Ok(VerifierConfig { issuer: self.issuer.clone(), audience: self.audience.clone(), keys })
    }
}

#[cfg(test)]
mod tests;
