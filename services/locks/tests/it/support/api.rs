//! One caller: a token and a connection, and every call of the contracts.

use std::time::Duration;

use holdfast_proto::locks::v1 as pb;
use pb::lock_class_service_client::LockClassServiceClient;
use pb::lock_service_client::LockServiceClient;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::hold::Hold;
use super::raw::{self, Method};
use super::watch::Watch;

#[derive(Clone)]
pub struct Api {
    channel: Channel,
    token: String,
    timeout: Option<Duration>,
}

macro_rules! calls {
    ($($name:ident: $client:ident($request:ident) -> $response:ident;)*) => {
        impl Api {
            $(pub async fn $name(&self, request: pb::$request) -> Result<pb::$response, Status> {
                let mut client = $client::new(self.channel.clone());
                Ok(client.$name(self.request(request)).await?.into_inner())
            })*
        }
    };
}

calls! {
    acquire_lock: LockServiceClient(AcquireLockRequest) -> AcquireLockResponse;
    acquire_locks: LockServiceClient(AcquireLocksRequest) -> AcquireLocksResponse;
    renew_lock: LockServiceClient(RenewLockRequest) -> RenewLockResponse;
    release_lock: LockServiceClient(ReleaseLockRequest) -> ReleaseLockResponse;
    get_lock: LockServiceClient(GetLockRequest) -> GetLockResponse;
    list_locks: LockServiceClient(ListLocksRequest) -> ListLocksResponse;
    check_fence: LockServiceClient(CheckFenceRequest) -> CheckFenceResponse;
    force_release_lock: LockServiceClient(ForceReleaseLockRequest) -> ForceReleaseLockResponse;
    list_lock_classes: LockClassServiceClient(ListLockClassesRequest) -> ListLockClassesResponse;
}

impl Api {
    pub fn new(channel: Channel, token: String) -> Self {
        Self { channel, token, timeout: None }
    }

    /// The same caller over another instance.
    pub fn over(&self, instance: &super::Instance) -> Self {
        Self { channel: instance.channel(), ..self.clone() }
    }

    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        if !self.token.is_empty() {
            let bearer = MetadataValue::try_from(format!("Bearer {}", self.token)).expect("a token is printable");
            metadata.insert("authorization", bearer);
        }
        if let Some(timeout) = self.timeout {
            request.set_timeout(timeout);
        }
        request
    }

    /// A stream that holds a lease, from its first message on.
    pub async fn hold(&self, first: impl Into<Option<pb::hold_lock_request::Message>>) -> Result<Hold, Status> {
        Hold::open(self.channel.clone(), |stream| self.request(stream), first.into()).await
    }

    pub async fn watch(&self, resource: pb::Resource) -> Result<Watch, Status> {
        let request = pb::WatchLockRequest { tenant_id: String::new(), resource: Some(resource) };
        let stream = LockServiceClient::new(self.channel.clone()).watch_lock(self.request(request)).await?;
        Ok(Watch::new(stream.into_inner()))
    }

    /// Any method by its descriptor, with messages as bytes; answers everything that came before the end.
    pub async fn raw(&self, method: &Method, messages: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, Status> {
        raw::call(self.channel.clone(), method, |stream| self.request(stream), messages).await
    }
}
