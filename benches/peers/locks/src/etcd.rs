//! The part of etcd's v3 API that a lock needs, by the field numbers of its public contract: `etcdserverpb.Lease` and
//! `v3lockpb.Lock`. Fields that nothing here reads are left out; a decoder skips them.

use prost::Message;
use tonic::{
    Request,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use crate::Result;

#[derive(Clone, PartialEq, Message)]
struct LeaseGrantRequest {
    #[prost(int64, tag = "1")]
    ttl_s: i64,
}

#[derive(Clone, PartialEq, Message)]
struct LeaseGrantResponse {
    #[prost(int64, tag = "2")]
    id: i64,
    #[prost(string, tag = "4")]
    error: String,
}

#[derive(Clone, PartialEq, Message)]
struct LeaseRevokeRequest {
    #[prost(int64, tag = "1")]
    id: i64,
}

#[derive(Clone, PartialEq, Message)]
struct LockRequest {
    #[prost(bytes = "vec", tag = "1")]
    name: Vec<u8>,
    #[prost(int64, tag = "2")]
    lease: i64,
}

#[derive(Clone, PartialEq, Message)]
struct LockResponse {
    #[prost(bytes = "vec", tag = "2")]
    key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct UnlockRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

/// Of what is answered only that it was.
#[derive(Clone, PartialEq, Message)]
struct Answered {}

/// One connection.
pub struct Etcd {
    grpc: Grpc<Channel>,
}

impl Etcd {
    pub async fn connect(url: &str) -> Result<Self> {
        let channel = Endpoint::from_shared(url.to_owned())?.tcp_nodelay(true).connect().await?;
        Ok(Self { grpc: Grpc::new(channel) })
    }

    pub async fn grant(&mut self, ttl_s: i64) -> Result<i64> {
        let answer: LeaseGrantResponse =
            self.call("/etcdserverpb.Lease/LeaseGrant", LeaseGrantRequest { ttl_s }).await?;
        if !answer.error.is_empty() || answer.id == 0 {
            return Err(format!("no lease: {}", answer.error).into());
        }
        Ok(answer.id)
    }

    /// Ends the lease, and with it what is held under it.
    pub async fn revoke(&mut self, id: i64) -> Result<()> {
        let _: Answered = self.call("/etcdserverpb.Lease/LeaseRevoke", LeaseRevokeRequest { id }).await?;
        Ok(())
    }

    /// Waits for the lock; answers the key under which it is held.
    pub async fn lock(&mut self, name: &str, lease: i64) -> Result<Vec<u8>> {
        let request = LockRequest { name: name.as_bytes().to_vec(), lease };
        let answer: LockResponse = self.call("/v3lockpb.Lock/Lock", request).await?;
        if answer.key.is_empty() {
            return Err("a lock without a key".into());
        }
        Ok(answer.key)
    }

    pub async fn unlock(&mut self, key: Vec<u8>) -> Result<()> {
        let _: Answered = self.call("/v3lockpb.Lock/Unlock", UnlockRequest { key }).await?;
        Ok(())
    }

    async fn call<Q, A>(&mut self, path: &'static str, request: Q) -> Result<A>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        self.grpc.ready().await?;
        let path = PathAndQuery::from_static(path);
        Ok(self.grpc.unary(Request::new(request), path, ProstCodec::default()).await?.into_inner())
    }
}
