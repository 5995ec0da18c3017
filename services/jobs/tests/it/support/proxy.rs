//! A proxy in front of PostgreSQL that loses a COMMIT, once, when it is told to.
//!
//! It reads the protocol message by message and changes none of them. What it can do is end a connection at the one
//! moment that a test cannot hit from outside: between the server's commit and the client's knowing of it.

use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use holdfast_pg::DatabaseUrl;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader, BufWriter};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// Larger than any message of these tests; a length beyond it is not PostgreSQL speaking.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What is lost, together with its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The COMMIT on its way to the server: nothing happened.
    Command,
    /// The answer to the COMMIT: it happened.
    Answer,
}

pub struct Proxy {
    server: u16,
    port: u16,
    plan: Arc<Plan>,
    _accepting: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Plan {
    next: Mutex<Option<Loss>>,
    lost: AtomicUsize,
}

impl Plan {
    fn take(&self) -> Option<Loss> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Proxy {
    /// In front of the server on this port; lets everything pass.
    pub async fn start(server: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (port, plan) = (listener.local_addr()?.port(), Arc::new(Plan::default()));
        let accepting = tokio::spawn(accept(listener, server, plan.clone()));
        Ok(Self { server, port, plan, _accepting: AbortOnDropHandle::new(accepting) })
    }

    /// The same database, through the proxy.
    pub fn url(&self, url: &DatabaseUrl) -> String {
        url.expose().replace(&format!(":{}/", self.server), &format!(":{}/", self.port))
    }

    /// The next COMMIT that comes by is lost, whosever it is.
    pub fn lose(&self, loss: Loss) {
        *self.plan.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(loss);
    }

    /// How many were lost so far.
    pub fn lost(&self) -> usize {
        self.plan.lost.load(Ordering::Acquire)
    }
}

async fn accept(listener: TcpListener, server: u16, plan: Arc<Plan>) {
    while let Ok((client, _)) = listener.accept().await {
        let plan = plan.clone();
        tokio::spawn(async move {
            // A server that is away, or a connection that breaks, is seen by the client as one that ends.
            if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await {
                let _ = relay(client, server, &plan).await;
            }
        });
    }
}

/// Until one side ends, or a loss ends both.
async fn relay(client: TcpStream, server: TcpStream, plan: &Plan) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let loses_answer = AtomicBool::new(false);
    tokio::select! {
        ended = requests(from_client, to_server, plan, &loses_answer) => ended,
        ended = answers(from_server, to_client, plan, &loses_answer) => ended,
    }
}

async fn requests(from: OwnedReadHalf, to: OwnedWriteHalf, plan: &Plan, loses_answer: &AtomicBool) -> io::Result<()> {
    let (mut from, mut to) = (BufReader::new(from), BufWriter::new(to));
    // The first message alone has no kind.
    let mut message = body(&mut from).await?;
    loop {
        to.write_all(&message).await?;
        if from.buffer().is_empty() {
            to.flush().await?;
        }
        let kind = from.read_u8().await?;
        message = vec![kind];
        message.extend(body(&mut from).await?);
        if is_commit(&message) {
            match plan.take() {
                Some(Loss::Command) => {
                    plan.lost.fetch_add(1, Ordering::Release);
                    return Ok(());
                }
                Some(Loss::Answer) => loses_answer.store(true, Ordering::Release),
                None => {}
            }
        }
    }
}

async fn answers(from: OwnedReadHalf, to: OwnedWriteHalf, plan: &Plan, loses_answer: &AtomicBool) -> io::Result<()> {
    let (mut from, mut to) = (BufReader::new(from), BufWriter::new(to));
    loop {
        let kind = from.read_u8().await?;
        let rest = body(&mut from).await?;
        // CommandComplete. The server says so once the transaction is durable.
        if kind == b'C' && &rest[4..] == b"COMMIT\0" && loses_answer.load(Ordering::Acquire) {
            plan.lost.fetch_add(1, Ordering::Release);
            return Ok(());
        }
        to.write_u8(kind).await?;
        to.write_all(&rest).await?;
        if from.buffer().is_empty() {
            to.flush().await?;
        }
    }
}

/// The rest of a message: its length, which counts itself, and its content.
async fn body(from: &mut BufReader<OwnedReadHalf>) -> io::Result<Vec<u8>> {
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

/// A Query, or a Parse of a nameless or named statement, that says COMMIT.
fn is_commit(message: &[u8]) -> bool {
    let content = &message[5..];
    let text = match message[0] {
        b'Q' => content.split(|byte| *byte == 0).next(),
        b'P' => content.split(|byte| *byte == 0).nth(1),
        _ => None,
    };
    text.is_some_and(|text| text.trim_ascii().eq_ignore_ascii_case(b"COMMIT"))
}
