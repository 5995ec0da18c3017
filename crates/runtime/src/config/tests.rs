use std::fs;

use tempfile::TempDir;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    #[serde(default)]
    grpc: GrpcConfig,
    database: Database,
    #[serde(default)]
    workers: Vec<Worker>,
    auth: Option<AuthConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Database {
    app_url: String,
    #[serde(default)]
    connections_max: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Worker {
    subject: String,
    #[serde(default)]
    intents: Vec<String>,
}

struct Given {
    dir: TempDir,
    environment: Vec<(String, String)>,
}

impl Given {
    fn file(toml: &str) -> Self {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("config.toml"), toml).unwrap();
        Self { dir, environment: Vec::new() }
    }

    fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((format!("HOLDFAST_JOBS__{name}"), value.into()));
        self
    }

    fn secret(self, name: &str, content: &str) -> Self {
        let path = self.dir.path().join(name.to_lowercase());
        fs::write(&path, content).unwrap();
        self.env(name, path.to_str().unwrap())
    }

    fn load(self) -> Result<Sample, String> {
        let path = self.dir.path().join("config.toml");
        load_from("jobs", Some(&path), self.environment.into_iter()).map_err(|error| error.to_string())
    }

    fn refusal(self) -> String {
        self.load().expect_err("the configuration should be refused")
    }
}

const MINIMAL: &str = "[database]\napp_url = 'postgres://file'\n";

#[test]
fn the_environment_is_above_the_file() {
    let sample =
        Given::file("[database]\napp_url = 'postgres://file'\nconnections_max = 3\n[grpc]\nlisten = '0.0.0.0:1'\n")
            .env("DATABASE__CONNECTIONS_MAX", "7")
            .env("GRPC__DRAIN_TIMEOUT_MS", "1500")
            .env("WORKERS", r#"[{"subject": "w-*", "intents": ["*"]}]"#)
            .load()
            .unwrap();
    assert_eq!((sample.database.app_url.as_str(), sample.database.connections_max), ("postgres://file", 7));
    assert_eq!(sample.grpc.listen.to_string(), "0.0.0.0:1");
    assert_eq!(sample.grpc.drain_timeout(), Duration::from_millis(1500));
    assert_eq!(sample.grpc.deadline_max(), Duration::from_secs(30), "the rest keeps its defaults");
    assert_eq!((sample.workers[0].subject.as_str(), sample.workers[0].intents.len()), ("w-*", 1));
}

#[test]
fn other_services_variables_are_not_ours() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("config.toml");
    fs::write(&path, MINIMAL).unwrap();
    let environment = [("HOLDFAST_RELAY__X", "1"), ("HOLDFAST_JOBS_PORT", "2"), ("HOME", "/")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert!(load_from::<Sample>("jobs", Some(&path), environment.into_iter()).is_ok());
}

#[test]
fn a_secret_comes_from_its_file() {
    let sample = Given::file("").secret("DATABASE__APP_URL_FILE", "postgres://secret\n").load().unwrap();
    assert_eq!(sample.database.app_url, "postgres://secret");
    let tls = Given::file(MINIMAL)
        .secret("GRPC__TLS__KEY_FILE", "-----BEGIN PRIVATE KEY-----\nk\n")
        .secret("GRPC__TLS__CERTIFICATE_FILE", "c\n")
        .load()
        .unwrap()
        .grpc
        .tls
        .unwrap();
    assert!(tls.key.starts_with("-----BEGIN"));
    assert_eq!(format!("{tls:?}"), "TlsConfig(..)");
}

#[test]
fn a_path_that_is_no_secret_stays_a_path() {
    let auth = Given::file(MINIMAL)
        .env("AUTH__ISSUER", "i")
        .env("AUTH__AUDIENCE", "a")
        .env("AUTH__KEYS_FILE", "/nowhere/jwks.json")
        .load()
        .unwrap()
        .auth
        .unwrap();
    let verifier = auth.verifier().unwrap();
    assert_eq!(verifier.keys, KeySource::File("/nowhere/jwks.json".into()));
    let nameless = AuthConfig { issuer: String::new(), ..auth.clone() };
    assert!(nameless.verifier().unwrap_err().to_string().starts_with("auth.issuer: "));
    let none = AuthConfig { keys_file: None, ..auth.clone() };
    assert!(none.verifier().unwrap_err().to_string().starts_with("auth.keys_file: "));
    let both = AuthConfig { keys_url: Some("http://x".to_owned()), ..auth };
    assert!(both.verifier().unwrap_err().to_string().starts_with("auth.keys_file: "));
}

#[test]
fn a_refusal_names_the_key() {
    for (given, key) in [
        (Given::file(MINIMAL).env("DATABASE__CONNECTIONS_MAX", "many"), "database.connections_max: "),
        (Given::file(MINIMAL).env("DATABASE__CONNECTIONS_MAX", "-1"), "database.connections_max: "),
        (Given::file(MINIMAL).env("GRPC__LISTEN", "here"), "grpc.listen: "),
        (Given::file(MINIMAL).env("GRPC__PROT", "1"), "grpc.prot: "),
        (Given::file(MINIMAL).env("WORKERS", r#"[{"subject": "a"}, {"subjekt": "b"}]"#), "workers[1]"),
        (Given::file(MINIMAL).env("WORKERS", "[1"), "workers: "),
        (
            Given::file(MINIMAL).env("DATABASE__APP_URL_FILE", "/nowhere"),
            "database.app_url: is set, and so is app_url_file",
        ),
        (Given::file("").env("DATABASE__APP_URL_FILE", "/nowhere"), "database.app_url_file: /nowhere: "),
        (Given::file("").secret("DATABASE__APP_URL_FILE", "\n"), "database.app_url_file: "),
    ] {
        let refusal = given.refusal();
        assert!(refusal.starts_with(key), "{refusal:?} should begin with {key:?}");
    }
}

#[test]
fn a_setting_out_of_range_is_named() {
    assert!(GrpcConfig::default().check().is_ok());
    let endless = GrpcConfig { deadline_max_ms: 0, ..GrpcConfig::default() };
    assert_eq!(endless.check().unwrap_err().to_string(), "grpc.deadline_max_ms: must be between 1 and 3600000");
}

#[test]
fn a_missing_key_is_named() {
    let refusal = Given::file("").env("DATABASE__CONNECTIONS_MAX", "1").refusal();
    assert!(refusal.contains("database") && refusal.contains("app_url"), "{refusal}");
    let refusal = Given::file("").refusal();
    assert!(refusal.contains("database"), "{refusal}");
}

#[test]
fn a_refusal_does_not_show_the_value() {
    let refusal = Given::file(MINIMAL).env("DATABASE__CONNECTIONS_MAX", "hunter2").refusal();
    assert!(!refusal.contains("hunter2"), "{refusal}");
}

#[test]
fn a_file_that_is_not_there_or_not_toml_is_refused() {
    let missing = load_from::<Sample>("jobs", Some(Path::new("/nowhere/x.toml")), std::iter::empty());
    assert!(missing.unwrap_err().to_string().contains("/nowhere/x.toml"));
    assert!(Given::file("[database").refusal().contains("config.toml"));
}
