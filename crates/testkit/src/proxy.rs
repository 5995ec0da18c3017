//! A proxy in front of PostgreSQL, or of its PgBouncer, that loses a COMMIT, or a statement that is a transaction by itself, once, when it is told
//! to, or swallows whatever connections carry.
//!
//! It reads the protocol message by message and changes none of them. What it can do is end a connection at the one
//! moment that a test cannot hit from outside, between the server's commit and the client's knowing of it; and what a
//! network does that loses packets: nothing comes through any more, and neither side is told.

use std::collections::HashSet;
use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use holdfast_pg::DatabaseUrl;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader, BufWriter};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

const COMMIT: &str = "COMMIT";
/// Larger than any message of these tests; a length beyond it is not PostgreSQL speaking.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What is lost, together with its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The command on its way to the server: nothing happened.
    Command,
    /// The answer to it: it happened.
    Answer,
}

pub struct Proxy {
    server: u16,
    port: u16,
    plan: Arc<Plan>,
    _accepting: AbortOnDropHandle<()>,
}

struct Plan {
    /// What is lost: a COMMIT, or the statement that holds this text.
    writes: &'static str,
    next: Mutex<Option<Loss>>,
    lost: AtomicUsize,
    /// Connections so far; each has a number by which it is older than others.
    connections: AtomicU64,
    /// Connections with a lower number are silent, for good.
    silent_below: AtomicU64,
}

impl Plan {
    fn take(&self) -> Option<Loss> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Proxy {
    /// In front of the server on this port; lets everything pass.
    pub async fn start(server: u16) -> Result<Self> {
        Self::of(server, COMMIT).await
    }

    /// Likewise, where transactions are single statements that hold this text.
    pub async fn of(server: u16, writes: &'static str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let plan = Plan {
            writes,
            next: Mutex::default(),
            lost: AtomicUsize::default(),
            connections: AtomicU64::default(),
            silent_below: AtomicU64::default(),
        };
        let (port, plan) = (listener.local_addr()?.port(), Arc::new(plan));
        let accepting = tokio::spawn(accept(listener, server, plan.clone()));
        Ok(Self { server, port, plan, _accepting: AbortOnDropHandle::new(accepting) })
    }

    /// The same database, through the proxy.
    pub fn url(&self, url: &DatabaseUrl) -> String {
        url.expose().replace(&format!(":{}/", self.server), &format!(":{}/", self.port))
    }

    /// The next one that comes by is lost, whosever it is.
    pub fn lose(&self, loss: Loss) {
        *self.plan.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(loss);
    }

    /// The connections that stand go silent, for good. New ones are served.
    pub fn silence_standing(&self) {
        self.plan.silent_below.store(self.plan.connections.load(Ordering::Acquire), Ordering::Release);
    }

    /// All connections go silent, and so do new ones, until [`Self::silence_standing`].
    pub fn silence_all(&self) {
        self.plan.silent_below.store(u64::MAX, Ordering::Release);
    }

    /// How many were lost so far.
    pub fn lost(&self) -> usize {
        self.plan.lost.load(Ordering::Acquire)
    }
}

async fn accept(listener: TcpListener, server: u16, plan: Arc<Plan>) {
    // They end with the proxy, the silent ones too.
    let mut relays = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let plan = plan.clone();
        let number = plan.connections.fetch_add(1, Ordering::AcqRel);
        let relay = Relay { plan, number, loses_answer: AtomicBool::new(false) };
        relays.spawn(async move {
            // A server that is away, or a connection that breaks, is seen by the client as one that ends.
            if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await {
                let _ = relay.run(client, server).await;
            }
        });
        while relays.try_join_next().is_some() {}
    }
}

/// One connection.
struct Relay {
    plan: Arc<Plan>,
    number: u64,
    loses_answer: AtomicBool,
}

impl Relay {
    /// Until one side ends, or a loss ends both.
    async fn run(self, client: TcpStream, server: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (mut from_client, mut to_client) = buffered(client);
        let (mut from_server, mut to_server) = buffered(server);
        let ended = tokio::select! {
            ended = self.requests(&mut from_client, &mut to_server) => ended,
            ended = self.answers(&mut from_server, &mut to_client) => ended,
        };
        // Of a silent connection neither side hears that the other has ended it.
        self.passes().await;
        ended
    }

    /// What the connection carries goes on only through here.
    async fn passes(&self) {
        if self.number < self.plan.silent_below.load(Ordering::Acquire) {
            std::future::pending::<()>().await;
        }
    }

    async fn requests(&self, from: &mut From, to: &mut To) -> io::Result<()> {
        // Prepared under these names, to be bound again and again.
        let mut prepared = HashSet::new();
        // The first message alone has no kind.
        let mut message = body(from).await?;
        loop {
            self.passes().await;
            to.write_all(&message).await?;
            if from.buffer().is_empty() {
                to.flush().await?;
            }
            let kind = from.read_u8().await?;
            message = vec![kind];
            message.extend(body(from).await?);
            if is_write(&message, self.plan.writes, &mut prepared) {
                match self.plan.take() {
                    Some(Loss::Command) => {
                        self.plan.lost.fetch_add(1, Ordering::Release);
                        return Ok(());
                    }
                    Some(Loss::Answer) => self.loses_answer.store(true, Ordering::Release),
                    None => {}
                }
            }
        }
    }

    async fn answers(&self, from: &mut From, to: &mut To) -> io::Result<()> {
        loop {
            let kind = from.read_u8().await?;
            let rest = body(from).await?;
            self.passes().await;
            if self.loses_answer.load(Ordering::Acquire) {
                // ReadyForQuery. The server says so once the transaction is durable.
                if kind == b'Z' {
                    self.plan.lost.fetch_add(1, Ordering::Release);
                    return Ok(());
                }
                continue;
            }
            to.write_u8(kind).await?;
            to.write_all(&rest).await?;
            if from.buffer().is_empty() {
                to.flush().await?;
            }
        }
    }
}

type From = BufReader<OwnedReadHalf>;
type To = BufWriter<OwnedWriteHalf>;

fn buffered(stream: TcpStream) -> (From, To) {
    let (from, to) = stream.into_split();
    (BufReader::new(from), BufWriter::new(to))
}

/// The rest of a message: its length, which counts itself, and its content.
async fn body(from: &mut From) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    let mut body = length.to_be_bytes().to_vec();
    let bytes = length as usize;
    if !(4..=MESSAGE_BYTES_MAX).contains(&bytes) {
        return Err(io::Error::other("not a PostgreSQL message"));
    }
    body.resize(bytes, 0);
    from.read_exact(&mut body[4..]).await?;
    Ok(body)
}

/// A Query that says so, or a Bind of a statement that does.
fn is_write(message: &[u8], writes: &str, prepared: &mut HashSet<Vec<u8>>) -> bool {
    let content = &message[5..];
    let mut texts = content.split(|byte| *byte == 0);
    let says_so = |text: &[u8]| match String::from_utf8_lossy(text) {
        text if writes == COMMIT => text.trim().eq_ignore_ascii_case(COMMIT),
        text => text.contains(writes),
    };
    match message[0] {
        b'Q' => texts.next().is_some_and(says_so),
        b'P' => {
            let name = texts.next().unwrap_or_default().to_vec();
            if texts.next().is_some_and(says_so) {
                prepared.insert(name);
            } else {
                prepared.remove(&name);
            }
            false
        }
        // Behind the portal's name.
        b'B' => texts.nth(1).is_some_and(|name| prepared.contains(name)),
        _ => false,
    }
}
