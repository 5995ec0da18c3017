//! Calls by descriptor, with messages as bytes: for walks over every method.

use std::time::Duration;

use holdfast_proto::FILE_DESCRIPTOR_SET;
use http::uri::PathAndQuery;
use prost::bytes::{Buf as _, BufMut as _};
use prost_reflect::{DescriptorPool, MethodDescriptor};
use tokio_stream::StreamExt as _;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Status};

pub const PACKAGE: &str = "holdfast.locks.v1";
const WITHIN: Duration = Duration::from_secs(60);

pub type Method = MethodDescriptor;
type Messages = tokio_stream::wrappers::ReceiverStream<Vec<u8>>;

/// What the contracts say.
pub fn pool() -> DescriptorPool {
    DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the committed descriptors decode")
}

/// Every method of this service's contracts, whatever it is called.
pub fn methods() -> Vec<Method> {
    let pool = pool();
    let services: Vec<_> = pool.services().filter(|service| service.package_name() == PACKAGE).collect();
    let methods: Vec<Method> = services.iter().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    assert!(!methods.is_empty(), "no services in {PACKAGE}");
    methods
}

pub fn path(method: &Method) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// Sends the messages, and reads to the end where there is one. A call for one message is, on the wire, a stream of one.
pub async fn call(
    channel: Channel,
    method: &Method,
    request: impl FnOnce(Messages) -> Request<Messages>,
    messages: Vec<Vec<u8>>,
) -> Result<Vec<Vec<u8>>, Status> {
    let exchange = async {
        let mut grpc = tonic::client::Grpc::new(channel);
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let path = PathAndQuery::try_from(path(method)).expect("a method's path is one");
        let (sender, stream) = tokio::sync::mpsc::channel(messages.len().max(1));
        for message in messages {
            sender.send(message).await.expect("the receiver is here");
        }
        // Half-closed behind the last.
        drop(sender);
        let stream = tokio_stream::wrappers::ReceiverStream::new(stream);
        let answers = grpc.streaming(request(stream), path, Bytes).await?.into_inner();
        // A watch goes on until it is cut.
        let is_endless = method.is_server_streaming() && !method.is_client_streaming();
        collect(answers, if is_endless { 1 } else { usize::MAX }).await
    };
    tokio::time::timeout(WITHIN, exchange).await.map_err(|_| Status::deadline_exceeded("the call did not end"))?
}

async fn collect(mut stream: tonic::Streaming<Vec<u8>>, answers_max: usize) -> Result<Vec<Vec<u8>>, Status> {
    let mut answers = Vec::new();
    while answers.len() < answers_max
        && let Some(answer) = stream.next().await
    {
        answers.push(answer?);
    }
    Ok(answers)
}

/// Messages as they are.
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut message = vec![0; from.remaining()];
        from.copy_to_slice(&mut message);
        Ok(Some(message))
    }
}
