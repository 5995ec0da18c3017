//! Writes that replicas confirm.
//!
//! WAIT speaks for the writes of its own connection and does nothing inside a script. So scripts whose writes must be
//! confirmed share one connection, apart from the pool, and one WAIT: what is asked for while a batch is in flight goes
//! out together as the next one.

use std::{sync::Arc, time::Duration};

use fred::{
    clients::Client,
    error::{Error, ErrorKind},
    interfaces::{ClientLike, EventInterface},
    types::{ClusterHash, CustomCommand, FromValue, Value},
};
use tokio::{
    sync::{broadcast::error::RecvError, mpsc, oneshot},
    time::Instant,
};
use tokio_util::task::AbortOnDropHandle;

use crate::{COMMAND_TIMEOUT, Redis, RedisError, Script, client};

const CALLS_WAITING_MAX: usize = 4096;
/// Of one WAIT; small enough for others not to be late because of them.
const BATCH_MAX: usize = 256;
/// A call waits for the batch before its own as well, and both must fit into [`COMMAND_TIMEOUT`].
const CONFIRM_WITHIN_MAX: Duration = Duration::from_millis(400);
/// The library says that it is connected until it begins to connect again, and holds back what it is given by then.
const BROKEN_FOR: Duration = client::RECONNECT_DELAY.saturating_mul(2);

/// Runs scripts on a connection of its own and says how many replicas have their writes. Cheap to clone.
///
/// Scripts of concurrent callers run in any order. A failed call says nothing about whether the script ran, or still will:
/// a server that hangs runs what it was sent once it goes on.
#[derive(Clone)]
pub struct Confirming {
    client: Client,
    calls: mpsc::Sender<Call>,
    _connection: Arc<AbortOnDropHandle<Result<(), Error>>>,
    _task: Arc<AbortOnDropHandle<()>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmed<R> {
    /// What the script returned.
    pub answer: R,
    pub confirmation: Confirmation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// As many replicas as were asked for have the script's writes.
    Full,
    /// Only so many said in time that they have them. The others may have them all the same. A replica that has just been
    /// copied in full is heard up to a second later.
    Short { replicas: u32 },
}

struct Call {
    script: Script,
    keys: Vec<String>,
    args: Vec<Value>,
    until: Instant,
    /// None where nobody waits for it.
    reply: Option<oneshot::Sender<Reply>>,
}

type Reply = Result<(Value, Confirmation), RedisError>;

#[derive(Clone, Copy)]
struct Wanted {
    replicas: u32,
    within: Duration,
}

impl Redis {
    /// Starts to connect; does not wait for it. Must be called inside a tokio runtime.
    ///
    /// `within`: how long replicas are waited for, 1 to 400 ms. With no replicas every answer is a full confirmation. With
    /// some, a Cluster is refused: there the keys' nodes differ, and with them the connections. With Sentinel the
    /// connection follows the primary.
    pub fn confirming(&self, replicas: u32, within: Duration) -> Result<Confirming, RedisError> {
        if replicas > 0 && self.is_cluster() {
            let message = "a Cluster's replicas cannot be waited for".to_owned();
            return Err(RedisError::Config { field: "replicas", message });
        }
        if !(Duration::from_millis(1)..=CONFIRM_WITHIN_MAX).contains(&within) {
            let message = format!("must be 1 to {} ms", CONFIRM_WITHIN_MAX.as_millis());
            return Err(RedisError::Config { field: "within", message });
        }
        let client = self.apart();
        let (calls, waiting) = mpsc::channel(CALLS_WAITING_MAX);
        let task = tokio::spawn(confirm_all(client.clone(), Wanted { replicas, within }, waiting));
        let connection = client.connect();
        Ok(Confirming {
            client,
            calls,
            _connection: Arc::new(AbortOnDropHandle::new(connection)),
            _task: Arc::new(AbortOnDropHandle::new(task)),
        })
    }
}

impl Confirming {
    /// The script's answer and who has its writes, within [`COMMAND_TIMEOUT`]; at once a failure while the connection is
    /// known to be down, or where too many wait.
    pub async fn run<R: FromValue>(
        &self,
        script: &Script,
        keys: Vec<String>,
        args: Vec<Value>,
    ) -> Result<Confirmed<R>, RedisError> {
        if !self.client.is_connected() {
            return Err(away());
        }
        let (reply, replied) = oneshot::channel();
        let call = Call::new(script, keys, args, Some(reply));
        let until = call.until;
        self.calls.try_send(call).map_err(|_| Error::new(ErrorKind::Backpressure, "too many calls wait"))?;
        let (answer, confirmation) = match tokio::time::timeout_at(until, replied).await {
            Ok(Ok(reply)) => reply?,
            Ok(Err(_)) => return Err(away()),
            Err(_) => return Err(Error::new(ErrorKind::Timeout, "no confirmation in time").into()),
        };
        Ok(Confirmed { answer: answer.convert()?, confirmation })
    }

    /// Sends a script whose answer nobody needs; never waits. Dropped where Redis is away or too many wait.
    pub fn send(&self, script: &Script, keys: Vec<String>, args: Vec<Value>) {
        if !self.client.is_connected() || self.calls.try_send(Call::new(script, keys, args, None)).is_err() {
            tracing::debug!("script dropped: redis is away, or too many wait");
        }
    }

    pub fn is_connected(&self) -> bool {
        self.client.is_connected()
    }

    /// Waits until the connection stands or `patience` is over.
    pub async fn wait_until_connected(&self, patience: Duration) -> Result<(), RedisError> {
        match tokio::time::timeout(patience, self.client.wait_for_connect()).await {
            Ok(connected) => Ok(connected?),
            Err(_) => Err(away()),
        }
    }
}

impl Call {
    fn new(script: &Script, keys: Vec<String>, args: Vec<Value>, reply: Option<oneshot::Sender<Reply>>) -> Self {
        Self { script: script.clone(), keys, args, until: Instant::now() + COMMAND_TIMEOUT, reply }
    }

    /// Neither late nor abandoned.
    fn is_wanted(&self) -> bool {
        self.until > Instant::now() && !self.reply.as_ref().is_some_and(oneshot::Sender::is_closed)
    }

    fn end(self, reply: Reply) {
        match (self.reply, reply) {
            // A caller that has left needs no answer.
            (Some(caller), reply) => drop(caller.send(reply)),
            (None, Err(error)) => tracing::debug!(%error, "script failed"),
            (None, Ok(_)) => {}
        }
    }
}

async fn confirm_all(client: Client, wanted: Wanted, mut waiting: mpsc::Receiver<Call>) {
    let mut errors = client.error_rx();
    let mut broken_until = Instant::now();
    let mut batch = Vec::with_capacity(BATCH_MAX);
    loop {
        tokio::select! {
            biased;
            error = errors.recv() => match error {
                Ok(_) | Err(RecvError::Lagged(_)) => broken_until = Instant::now() + BROKEN_FOR,
                Err(RecvError::Closed) => break,
            },
            received = waiting.recv_many(&mut batch, BATCH_MAX) => {
                if received == 0 {
                    break;
                }
                let calls: Vec<Call> = batch.drain(..).filter(Call::is_wanted).collect();
                if client.is_connected() && Instant::now() >= broken_until {
                    run(&client, wanted, calls).await;
                } else {
                    calls.into_iter().for_each(|call| call.end(Err(away())));
                }
            }
        }
    }
}

/// By hash; once more and whole what the server does not know (a restart, a new primary).
async fn run(client: &Client, wanted: Wanted, calls: Vec<Call>) {
    let unknown = round(client, wanted, calls, Form::Hash).await;
    let unknown: Vec<Call> = unknown.into_iter().filter(Call::is_wanted).collect();
    round(client, wanted, unknown, Form::Source).await;
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Hash,
    Source,
}

/// Ends the calls, but for those whose script the server does not know by its hash: they are returned.
async fn round(client: &Client, wanted: Wanted, calls: Vec<Call>, form: Form) -> Vec<Call> {
    if calls.is_empty() {
        return calls;
    }
    let waits = wanted.replicas > 0 && calls.iter().any(|call| call.reply.is_some());
    let mut answers = match answers(client, &calls, form, waits.then_some(wanted)).await {
        Ok(answers) => answers,
        Err(error) => {
            calls.into_iter().for_each(|call| call.end(Err(error.clone().into())));
            return Vec::new();
        }
    };
    let confirmation = match answers.pop_if(|_| waits) {
        Some(replicas) => replicas.and_then(Value::convert).map(|replicas| wanted.confirmation(replicas)),
        // Whoever waits for a reply asked for no replicas.
        None => Ok(Confirmation::Full),
    };
    let mut unknown = Vec::new();
    for (call, answer) in calls.into_iter().zip(answers) {
        match answer {
            Err(error) if form == Form::Hash && error.details().starts_with("NOSCRIPT") => unknown.push(call),
            Err(error) => call.end(Err(error.into())),
            Ok(answer) => {
                call.end(confirmation.clone().map(|confirmation| (answer, confirmation)).map_err(Into::into));
            }
        }
    }
    unknown
}

/// One answer for each call, and WAIT's behind them.
///
/// It must be one pipeline: the library writes it to one connection and fails it as a whole where that breaks. WAIT on a
/// connection that came in between would be content at once, without the writes.
async fn answers(
    client: &Client,
    calls: &[Call],
    form: Form,
    wait: Option<Wanted>,
) -> Result<Vec<Result<Value, Error>>, Error> {
    let pipeline = client.pipeline();
    for call in calls {
        let (name, script) = match form {
            Form::Hash => ("EVALSHA", call.script.sha1()),
            Form::Source => ("EVAL", call.script.source()),
        };
        let mut arguments = vec![Value::from(script), call.keys.len().try_into()?];
        arguments.extend(call.keys.iter().map(|key| Value::from(key.as_str())));
        arguments.extend(call.args.iter().cloned());
        // The first key is behind the script and the number of keys.
        let command = CustomCommand::new_static(name, ClusterHash::Offset(2), false);
        pipeline.custom::<(), Value>(command, arguments).await?;
    }
    if let Some(Wanted { replicas, within }) = wait {
        let arguments = vec![Value::from(i64::from(replicas)), within.as_millis().try_into()?];
        let command = CustomCommand::new_static("WAIT", ClusterHash::Random, false);
        pipeline.custom::<(), Value>(command, arguments).await?;
    }
    let mut answers = pipeline.try_all::<Value>().await;
    if answers.len() == calls.len() + usize::from(wait.is_some()) {
        return Ok(answers);
    }
    // One error for all of them.
    Err(answers.pop().and_then(Result::err).unwrap_or_else(|| Error::new(ErrorKind::Protocol, "answers are missing")))
}

impl Wanted {
    fn confirmation(self, replicas: u32) -> Confirmation {
        if replicas >= self.replicas { Confirmation::Full } else { Confirmation::Short { replicas } }
    }
}

fn away() -> RedisError {
    RedisError::Unavailable(Error::new(ErrorKind::IO, "no connection"))
}
