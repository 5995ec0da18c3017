//! How a command reaches a service: endpoint, token, deadline.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use async_trait::async_trait;
use holdfast_caller::{
    Kind, Role,
    issuer::{DevIssuer, TokenSpec},
};
use holdfast_client::{AccessToken, BoxError, Client, ErrorKind, TokenFile, TokenSource};
use holdfast_ids::{ActorId, TenantId};

use crate::{
    dev::{Layout, StackInfo, TENANT},
    exit::UsageError,
};

const JOBS_ENDPOINT_DEFAULT: &str = "http://127.0.0.1:7100";
const LOCKS_ENDPOINT_DEFAULT: &str = "http://127.0.0.1:7101";
/// Of one attempt; a longer deadline is for several.
const ATTEMPT_MAX: Duration = Duration::from_secs(10);
/// Long enough for a worker's evening, well under the lifetime cap of every kind.
const MINTED_LIFETIME: Duration = Duration::from_secs(3 * 3600);

// To the jobs service. A comment for rustdoc would take the place of the help of each command that has these arguments; so below.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// URL of the service [default: the stack running in --dir, else http://127.0.0.1:7100].
    #[arg(long, env = "HOLDFAST_ENDPOINT", value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    #[command(flatten)]
    pub(crate) caller: CallerArgs,
}

// To the locks service.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct LocksConnectionArgs {
    /// URL of the locks service [default: the stack running in --dir, else http://127.0.0.1:7101].
    #[arg(long, env = "HOLDFAST_LOCKS_ENDPOINT", value_name = "URL")]
    endpoint: Option<String>,
    #[command(flatten)]
    caller: CallerArgs,
}

// Who calls, and for how long.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct CallerArgs {
    /// Bearer token [default: a development token, where --dir holds a signing key].
    #[arg(long, env = "HOLDFAST_TOKEN", hide_env_values = true, value_name = "TOKEN", conflicts_with = "token_file")]
    pub(crate) token: Option<String>,

    /// File with the bearer token; read again while the command runs.
    #[arg(long, env = "HOLDFAST_TOKEN_FILE", value_name = "PATH")]
    pub(crate) token_file: Option<PathBuf>,

    /// Directory of the development stack.
    #[arg(long, env = "HOLDFAST_DIR", default_value = ".holdfast", value_name = "PATH")]
    pub(crate) dir: PathBuf,

    /// Deadline of a call, in seconds: what can succeed later is tried again until then.
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) timeout: u64,
}

/// As whom a development token is made where the user brought none.
#[derive(Clone, Debug)]
pub(crate) enum Minted {
    Person,
    Worker(String),
}

impl ConnectionArgs {
    /// A client that is connected: a service that is not there is said at once.
    pub(crate) async fn open(&self, minted: Minted) -> anyhow::Result<Client> {
        let client = self.client(minted)?;
        client.connect().await?;
        Ok(client)
    }

    /// A client of which nothing is known yet but that it has a token.
    pub(crate) fn client(&self, minted: Minted) -> anyhow::Result<Client> {
        let running = || self.caller.stack().map(|info| info.endpoint);
        let url = self.endpoint.clone().or_else(running);
        self.caller.client(url.unwrap_or_else(|| JOBS_ENDPOINT_DEFAULT.to_owned()), minted)
    }
}

impl LocksConnectionArgs {
    /// A client that is connected.
    pub(crate) async fn open(&self) -> anyhow::Result<Client> {
        let running = || self.caller.stack().map(|info| info.locks_endpoint);
        let url = self.endpoint.clone().or_else(running);
        let client = self.caller.client(url.unwrap_or_else(|| LOCKS_ENDPOINT_DEFAULT.to_owned()), Minted::Person)?;
        client.connect().await?;
        Ok(client)
    }
}

impl CallerArgs {
    fn client(&self, url: String, minted: Minted) -> anyhow::Result<Client> {
        let deadline = Duration::from_secs(self.timeout);
        let client = Client::builder(url)
            .user_agent(concat!("holdfast/", env!("CARGO_PKG_VERSION")))
            .call_timeout(deadline)
            .attempt_timeout(deadline.min(ATTEMPT_MAX));
        let client = match (&self.token, &self.token_file) {
            (Some(token), _) => client.token(AccessToken::from(token.as_str())),
            (None, Some(path)) => {
                std::fs::read(path).with_context(|| path.display().to_string())?;
                client.token(TokenFile(path.clone()))
            }
            (None, None) => {
                let keys = self.layout()?.keys();
                mint(&keys, &minted)?;
                client.token(Mint { keys, minted })
            }
        };
        client.build().map_err(|error| match error.kind {
            ErrorKind::Invalid => UsageError(error.to_string()).into(),
            _ => error.into(),
        })
    }

    fn layout(&self) -> anyhow::Result<Layout> {
        Ok(Layout::at(&self.dir)?)
    }

    /// The one that runs here.
    fn stack(&self) -> Option<StackInfo> {
        self.layout().and_then(|layout| StackInfo::load(&layout)).ok()
    }
}

/// Development tokens, a new one when the last is halfway through its life.
struct Mint {
    keys: PathBuf,
    minted: Minted,
}

#[async_trait]
impl TokenSource for Mint {
    async fn token(&self) -> Result<AccessToken, BoxError> {
        Ok(AccessToken { value: mint(&self.keys, &self.minted)?, fresh_for: Some(MINTED_LIFETIME / 2) })
    }
}

/// A new development token.
pub(crate) fn mint(keys: &Path, minted: &Minted) -> anyhow::Result<String> {
    let issuer = DevIssuer::load(keys).map_err(|_| {
        UsageError(format!(
            "no token: give --token, --token-file or HOLDFAST_TOKEN, or run where `holdfast up` has made a key (looked in {})",
            keys.display()
        ))
    })?;
    let tenant = TenantId::parse(TENANT)?;
    let spec = match minted {
        Minted::Person => TokenSpec::user(ActorId::parse("dev")?, tenant, Role::Owner),
        Minted::Worker(subject) => TokenSpec::new(Kind::Worker, ActorId::parse(subject)?, tenant),
    };
    Ok(issuer.issue(spec.lifetime(MINTED_LIFETIME)))
}
