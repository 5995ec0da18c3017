//! Hints between processes, over pub/sub: "look now". They may be lost, doubled or late; whoever listens polls as well.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use fred::{
    clients::SubscriberClient,
    interfaces::{ClientLike, EventInterface, PubsubInterface},
    types::Message,
};
use tokio::sync::{Notify, broadcast, mpsc};
use tokio_util::task::AbortOnDropHandle;

use crate::Redis;

const MESSAGES_WAITING_MAX: usize = 1024;
const SUBSCRIBE_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Says "look now" on a channel: never waits, and sends at most one message per interval however often it is called; a
/// call within the interval is sent at its end. Cheap to clone.
#[derive(Clone)]
pub struct Waker {
    notify: Arc<Notify>,
    _task: Arc<AbortOnDropHandle<()>>,
}

impl Waker {
    pub fn wake(&self) {
        self.notify.notify_one();
    }
}

/// Sends small messages on a channel: never waits; what does not fit its queue is dropped. Cheap to clone.
#[derive(Clone)]
pub struct Messenger {
    queue: mpsc::Sender<String>,
    _task: Arc<AbortOnDropHandle<()>>,
}

impl Messenger {
    pub fn send(&self, message: impl Into<String>) {
        if self.queue.try_send(message.into()).is_err() {
            tracing::debug!("hint dropped: the queue is full");
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Message(Bytes),
    /// The subscription stands (again), or messages were dropped: hints may have been missed, so look now.
    Resumed,
}

/// Hears one channel, over a connection of its own, through reconnects.
pub struct Listener {
    heard: mpsc::Receiver<Heard>,
    _task: AbortOnDropHandle<()>,
}

impl Listener {
    /// The next message or resumption. Cancel-safe. Pends for ever where there is none.
    pub async fn heard(&mut self) -> Heard {
        match self.heard.recv().await {
            Some(heard) => heard,
            None => std::future::pending().await,
        }
    }

    /// Waits for a hint and swallows those that have piled up behind it: for channels whose messages say only "look".
    pub async fn woken(&mut self) {
        self.heard().await;
        while self.heard.try_recv().is_ok() {}
    }
}

impl Redis {
    pub fn waker(&self, channel: String, interval: Duration) -> Waker {
        let notify = Arc::new(Notify::new());
        let task = tokio::spawn(wake_on(self.clone(), channel, interval, notify.clone()));
        Waker { notify, _task: Arc::new(AbortOnDropHandle::new(task)) }
    }

    pub fn messenger(&self, channel: String) -> Messenger {
        let (queue, messages) = mpsc::channel(MESSAGES_WAITING_MAX);
        let task = tokio::spawn(send_all(self.clone(), channel, messages));
        Messenger { queue, _task: Arc::new(AbortOnDropHandle::new(task)) }
    }

    pub fn listen(&self, channel: String) -> Listener {
        let (sender, heard) = mpsc::channel(MESSAGES_WAITING_MAX);
        let task = tokio::spawn(listen_on(self.subscriber(), channel, sender));
        Listener { heard, _task: AbortOnDropHandle::new(task) }
    }
}

async fn wake_on(redis: Redis, channel: String, interval: Duration, notify: Arc<Notify>) {
    loop {
        notify.notified().await;
        publish(&redis, &channel, "").await;
        tokio::time::sleep(interval).await;
    }
}

async fn send_all(redis: Redis, channel: String, mut messages: mpsc::Receiver<String>) {
    while let Some(message) = messages.recv().await {
        publish(&redis, &channel, &message).await;
    }
}

async fn publish(redis: &Redis, channel: &str, message: &str) {
    if let Err(error) = redis.client().publish::<(), _, _>(channel, message).await {
        tracing::debug!(channel, %error, "hint not sent");
    }
}

async fn listen_on(client: SubscriberClient, channel: String, heard: mpsc::Sender<Heard>) {
    let mut messages = client.message_rx();
    let mut reconnections = client.reconnect_rx();
    let connection = AbortOnDropHandle::new(client.connect());
    subscribe(&client, &channel).await;
    hint(&heard, Heard::Resumed);
    while !connection.is_finished() && !heard.is_closed() {
        tokio::select! {
            message = messages.recv() => match message {
                Ok(message) => hint(&heard, Heard::Message(payload(message))),
                Err(broadcast::error::RecvError::Lagged(_)) => hint(&heard, Heard::Resumed),
                Err(broadcast::error::RecvError::Closed) => break,
            },
            reconnected = reconnections.recv() => {
                if matches!(reconnected, Err(broadcast::error::RecvError::Closed)) {
                    break;
                }
                subscribe(&client, &channel).await;
                hint(&heard, Heard::Resumed);
            }
        }
    }
}

/// A full queue drops the hint: the listener has enough reasons to look already.
fn hint(heard: &mpsc::Sender<Heard>, what: Heard) {
    let _ = heard.try_send(what);
}

fn payload(message: Message) -> Bytes {
    message.value.into_bytes().unwrap_or_default()
}

async fn subscribe(client: &SubscriberClient, channel: &str) {
    while let Err(error) = client.subscribe(channel).await {
        tracing::debug!(channel, %error, "not subscribed yet");
        tokio::time::sleep(SUBSCRIBE_AGAIN_AFTER).await;
    }
}
