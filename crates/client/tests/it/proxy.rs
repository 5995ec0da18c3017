//! A proxy in front of a service that cuts a connection at the one moment that a test cannot hit from outside: when the
//! answer is on its way, and so the change is made. Or that goes silent, as a network does that loses packets.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use anyhow::Result;
use tokio::{
    io::{self, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_util::task::AbortOnDropHandle;

/// Frames of HTTP/2 that carry what a method answers.
const DATA: u8 = 0;
const HEADERS: u8 = 1;

pub struct Proxy {
    port: u16,
    plan: Arc<Plan>,
    _accepting: AbortOnDropHandle<()>,
}

struct Plan {
    is_armed: AtomicBool,
    cut: AtomicUsize,
    silent: watch::Sender<bool>,
}

impl Proxy {
    /// In front of the service on this port; lets everything pass.
    pub async fn start(server: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let plan = Plan { is_armed: AtomicBool::new(false), cut: AtomicUsize::new(0), silent: watch::channel(false).0 };
        let plan = Arc::new(plan);
        let accepting = tokio::spawn(accept(listener, server, plan.clone()));
        Ok(Self { port, plan, _accepting: AbortOnDropHandle::new(accepting) })
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The next answer is lost, with its connection.
    pub fn lose_answer(&self) {
        self.plan.is_armed.store(true, Ordering::Release);
    }

    pub fn lost(&self) -> usize {
        self.plan.cut.load(Ordering::Acquire)
    }

    /// Nothing comes through any more, and nobody is told, until it is undone.
    pub fn silence(&self, is_silent: bool) {
        self.plan.silent.send_replace(is_silent);
    }
}

async fn accept(listener: TcpListener, server: u16, plan: Arc<Plan>) {
    // They end with the proxy.
    let mut relays = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let plan = plan.clone();
        relays.spawn(async move {
            // A server that is away is seen by the client as a connection that ends.
            if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await {
                let _ = relay(client, server, &plan).await;
            }
        });
        while relays.try_join_next().is_some() {}
    }
}

async fn relay(client: TcpStream, server: TcpStream, plan: &Plan) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let requests = async {
        let mut piece = vec![0; 64 * 1024];
        loop {
            let length = from_client.read(&mut piece).await?;
            if length == 0 {
                return io::Result::Ok(());
            }
            passes(plan).await;
            to_server.write_all(&piece[..length]).await?;
        }
    };
    let answers = async {
        loop {
            let mut head = [0; 9];
            from_server.read_exact(&mut head).await?;
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let mut frame = head.to_vec();
            frame.resize(9 + length, 0);
            from_server.read_exact(&mut frame[9..]).await?;
            passes(plan).await;
            if matches!(head[3], DATA | HEADERS) && plan.is_armed.swap(false, Ordering::AcqRel) {
                plan.cut.fetch_add(1, Ordering::Release);
                return Ok(());
            }
            to_client.write_all(&frame).await?;
        }
    };
    tokio::select! {
        ended = requests => ended,
        ended = answers => ended,
    }
}

async fn passes(plan: &Plan) {
    let _ = plan.silent.subscribe().wait_for(|is_silent| !is_silent).await;
}
