// @generated from proto/ by `make proto`. Do not edit.
/// What is locked. Two locks with one name in two projects, or two tenants, are two locks.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Resource {
    /// 1 to 64 of a-z, 0-9, '-', '\_', '.', beginning with a letter or digit.
    #[prost(string, tag = "1")]
    pub project_id: ::prost::alloc::string::String,
    /// A class of the order registry: "infrastructure", "budget", "project" or "memory", unless the registry was changed.
    #[prost(string, tag = "2")]
    pub class: ::prost::alloc::string::String,
    /// 1 to 256 printable ASCII characters without spaces.
    #[prost(string, tag = "3")]
    pub key: ::prost::alloc::string::String,
}
/// Who holds what: named in every call about a lease.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct LeaseRef {
    /// The token's tenant when empty.
    #[prost(string, tag = "1")]
    pub tenant_id: ::prost::alloc::string::String,
    /// A UUIDv7.
    #[prost(string, tag = "2")]
    pub lease_id: ::prost::alloc::string::String,
}
/// One resource of a lease.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct HeldResource {
    #[prost(message, optional, tag = "1")]
    pub resource: ::core::option::Option<Resource>,
    /// 1 or more, and more with every grant of this resource: across releases, expiries, restarts, and failovers and restores that lose grants, as long
    /// as the database's clock is then not behind the last of these. Whatever the
    /// holder writes to keeps the highest token that it has seen, compares in the transaction that writes, and refuses a lower one.
    #[prost(uint64, tag = "2")]
    pub fencing_token: u64,
}
/// A granted lease, over one resource or several.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Lease {
    #[prost(string, tag = "1")]
    pub tenant_id: ::prost::alloc::string::String,
    /// A UUIDv7, another one for each grant.
    #[prost(string, tag = "2")]
    pub lease_id: ::prost::alloc::string::String,
    /// In the order of the registry: by class, project and key.
    #[prost(message, repeated, tag = "3")]
    pub resources: ::prost::alloc::vec::Vec<HeldResource>,
    /// The principal that acquired it, and the label it did so under.
    #[prost(string, tag = "4")]
    pub actor_id: ::prost::alloc::string::String,
    #[prost(string, tag = "5")]
    pub owner: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "6")]
    pub granted_at: ::core::option::Option<::prost_types::Timestamp>,
    /// By the database's clock. The holder stops working here unless it has renewed.
    #[prost(message, optional, tag = "7")]
    pub expires_at: ::core::option::Option<::prost_types::Timestamp>,
    /// Nobody else is granted these resources before this time, without an operator's override. Until then the holder may still renew.
    #[prost(message, optional, tag = "8")]
    pub stale_at: ::core::option::Option<::prost_types::Timestamp>,
    /// From the answer on, on a clock of one's own: at least as long as the way back took too long.
    #[prost(message, optional, tag = "9")]
    pub expires_in: ::core::option::Option<::prost_types::Duration>,
    /// Heartbeat this often; a third of the time to live, in whole seconds where that is one or more.
    #[prost(message, optional, tag = "10")]
    pub heartbeat_interval: ::core::option::Option<::prost_types::Duration>,
    /// How often it was renewed, and how often it may be.
    #[prost(uint32, tag = "11")]
    pub renewals: u32,
    #[prost(uint32, tag = "12")]
    pub renewals_max: u32,
}
/// Who waits for a resource.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Waiter {
    /// 1 is next.
    #[prost(uint32, tag = "1")]
    pub position: u32,
    #[prost(string, tag = "2")]
    pub actor_id: ::prost::alloc::string::String,
    #[prost(string, tag = "3")]
    pub owner: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "4")]
    pub waiting_since: ::core::option::Option<::prost_types::Timestamp>,
}
/// How a resource stands.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Lock {
    #[prost(string, tag = "1")]
    pub tenant_id: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "2")]
    pub resource: ::core::option::Option<Resource>,
    /// Absent where it is free.
    #[prost(message, optional, tag = "3")]
    pub holder: ::core::option::Option<lock::Holder>,
    /// First come first; at most 100 of them are told.
    #[prost(message, repeated, tag = "4")]
    pub waiters: ::prost::alloc::vec::Vec<Waiter>,
    /// All of them.
    #[prost(uint32, tag = "5")]
    pub waiter_count: u32,
    /// The highest token that was ever given; 0 where it was never held.
    #[prost(uint64, tag = "6")]
    pub fencing_token: u64,
    /// Of its latest event: grows with every grant and every end of one, and with a rejected token that is told as an event.
    #[prost(uint64, tag = "7")]
    pub version: u64,
}
/// Nested message and enum types in `Lock`.
pub mod lock {
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Holder {
        #[prost(string, tag = "1")]
        pub lease_id: ::prost::alloc::string::String,
        #[prost(string, tag = "2")]
        pub actor_id: ::prost::alloc::string::String,
        #[prost(string, tag = "3")]
        pub owner: ::prost::alloc::string::String,
        #[prost(uint64, tag = "4")]
        pub fencing_token: u64,
        #[prost(message, optional, tag = "5")]
        pub granted_at: ::core::option::Option<::prost_types::Timestamp>,
        #[prost(message, optional, tag = "6")]
        pub expires_at: ::core::option::Option<::prost_types::Timestamp>,
        #[prost(message, optional, tag = "7")]
        pub stale_at: ::core::option::Option<::prost_types::Timestamp>,
        #[prost(uint32, tag = "8")]
        pub renewals: u32,
        /// Taken for a request for several resources that still waits for a later one: nobody works under it yet, and it cannot be taken by force.
        #[prost(bool, tag = "9")]
        pub reserved: bool,
    }
}
/// Whether Redis knows of the grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum MirrorState {
    Unspecified = 0,
    /// `lock:<tenant>:<project>:<class>:<key>` was written before the grant was answered, and by as many replicas as are configured.
    Written = 1,
    /// It was not, or not by as many: Redis is away, or replicas are missing. PostgreSQL granted, and the lock holds.
    Degraded = 2,
}
impl MirrorState {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unspecified => "MIRROR_STATE_UNSPECIFIED",
            Self::Written => "MIRROR_STATE_WRITTEN",
            Self::Degraded => "MIRROR_STATE_DEGRADED",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "MIRROR_STATE_UNSPECIFIED" => Some(Self::Unspecified),
            "MIRROR_STATE_WRITTEN" => Some(Self::Written),
            "MIRROR_STATE_DEGRADED" => Some(Self::Degraded),
            _ => None,
        }
    }
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct AcquireLockRequest {
    /// The token's tenant when empty.
    #[prost(string, tag = "1")]
    pub tenant_id: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "2")]
    pub resource: ::core::option::Option<Resource>,
    #[prost(message, optional, tag = "3")]
    pub terms: ::core::option::Option<AcquireTerms>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct AcquireTerms {
    /// Who will hold it, as the client names it: a session, a task, a thread. 1 to 128 printable ASCII characters without spaces. With the
    /// principal it is the owner that the order is kept for.
    #[prost(string, tag = "1")]
    pub owner: ::prost::alloc::string::String,
    /// 1 to 256 printable ASCII characters without spaces, another one for each lease that is wanted; makes repetitions safe. May be left out:
    /// then a call whose answer was lost leaves a lease that runs out by itself.
    #[prost(string, tag = "2")]
    pub idempotency_key: ::prost::alloc::string::String,
    /// How long the lease holds without a heartbeat, 1 s to the configured maximum; the configured default when absent.
    #[prost(message, optional, tag = "3")]
    pub ttl: ::core::option::Option<::prost_types::Duration>,
    /// How long to wait, up to 1 h; absent or 0: not at all. The deadline that the client sets, if any, ends a wait as well, and gives up its place.
    #[prost(message, optional, tag = "4")]
    pub wait: ::core::option::Option<::prost_types::Duration>,
    /// Whether a grant that could not be mirrored is released again; as configured when absent.
    #[prost(bool, optional, tag = "5")]
    pub require_mirror: ::core::option::Option<bool>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct AcquireLockResponse {
    #[prost(message, optional, tag = "1")]
    pub lease: ::core::option::Option<Lease>,
    #[prost(enumeration = "MirrorState", tag = "2")]
    pub mirror: i32,
    /// An earlier call under this idempotency key was granted it.
    #[prost(bool, tag = "3")]
    pub replayed: bool,
    /// How long it waited.
    #[prost(message, optional, tag = "4")]
    pub waited: ::core::option::Option<::prost_types::Duration>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct AcquireLocksRequest {
    /// The token's tenant when empty.
    #[prost(string, tag = "1")]
    pub tenant_id: ::prost::alloc::string::String,
    /// 1 to 64, in any order, each once.
    #[prost(message, repeated, tag = "2")]
    pub resources: ::prost::alloc::vec::Vec<Resource>,
    #[prost(message, optional, tag = "3")]
    pub terms: ::core::option::Option<AcquireTerms>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct AcquireLocksResponse {
    #[prost(message, optional, tag = "1")]
    pub lease: ::core::option::Option<Lease>,
    #[prost(enumeration = "MirrorState", tag = "2")]
    pub mirror: i32,
    #[prost(bool, tag = "3")]
    pub replayed: bool,
    #[prost(message, optional, tag = "4")]
    pub waited: ::core::option::Option<::prost_types::Duration>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct RenewLockRequest {
    #[prost(message, optional, tag = "1")]
    pub lease: ::core::option::Option<LeaseRef>,
    /// Which renewal this is, from 1; 0 where the caller does not count. One that is not higher than the last is a repetition: it is answered as the
    /// lease stands, moves nothing and is not counted.
    #[prost(uint32, tag = "2")]
    pub renewal: u32,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct RenewLockResponse {
    #[prost(message, optional, tag = "1")]
    pub expires_at: ::core::option::Option<::prost_types::Timestamp>,
    #[prost(message, optional, tag = "2")]
    pub stale_at: ::core::option::Option<::prost_types::Timestamp>,
    #[prost(message, optional, tag = "3")]
    pub expires_in: ::core::option::Option<::prost_types::Duration>,
    #[prost(uint32, tag = "4")]
    pub renewals: u32,
    #[prost(uint32, tag = "5")]
    pub renewals_max: u32,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ReleaseLockRequest {
    #[prost(message, optional, tag = "1")]
    pub lease: ::core::option::Option<LeaseRef>,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ReleaseLockResponse {
    /// When it was released.
    #[prost(message, optional, tag = "1")]
    pub released_at: ::core::option::Option<::prost_types::Timestamp>,
    /// It was released before, by its holder.
    #[prost(bool, tag = "2")]
    pub replayed: bool,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct HoldLockRequest {
    #[prost(oneof = "hold_lock_request::Message", tags = "1, 2, 3")]
    pub message: ::core::option::Option<hold_lock_request::Message>,
}
/// Nested message and enum types in `HoldLockRequest`.
pub mod hold_lock_request {
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct Acquire {
        /// The token's tenant when empty.
        #[prost(string, tag = "1")]
        pub tenant_id: ::prost::alloc::string::String,
        /// 1 to 64.
        #[prost(message, repeated, tag = "2")]
        pub resources: ::prost::alloc::vec::Vec<super::Resource>,
        #[prost(message, optional, tag = "3")]
        pub terms: ::core::option::Option<super::AcquireTerms>,
    }
    /// Goes on with a lease of this caller that still holds; renews it.
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Resume {
        #[prost(message, optional, tag = "1")]
        pub lease: ::core::option::Option<super::LeaseRef>,
    }
    #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Heartbeat {
        /// As in RenewLockRequest.
        #[prost(uint32, tag = "1")]
        pub renewal: u32,
    }
    #[derive(Clone, PartialEq, ::prost::Oneof)]
    pub enum Message {
        /// First, or Resume.
        #[prost(message, tag = "1")]
        Acquire(Acquire),
        #[prost(message, tag = "2")]
        Resume(Resume),
        #[prost(message, tag = "3")]
        Heartbeat(Heartbeat),
    }
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct HoldLockResponse {
    #[prost(oneof = "hold_lock_response::Message", tags = "1, 2, 3, 4, 5")]
    pub message: ::core::option::Option<hold_lock_response::Message>,
}
/// Nested message and enum types in `HoldLockResponse`.
pub mod hold_lock_response {
    /// Not free: the request stands in the queue.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Waiting {}
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct Granted {
        #[prost(message, optional, tag = "1")]
        pub lease: ::core::option::Option<super::Lease>,
        #[prost(enumeration = "super::MirrorState", tag = "2")]
        pub mirror: i32,
        #[prost(bool, tag = "3")]
        pub replayed: bool,
        #[prost(message, optional, tag = "4")]
        pub waited: ::core::option::Option<::prost_types::Duration>,
    }
    #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Renewed {
        #[prost(message, optional, tag = "1")]
        pub expires_at: ::core::option::Option<::prost_types::Timestamp>,
        #[prost(message, optional, tag = "2")]
        pub expires_in: ::core::option::Option<::prost_types::Duration>,
        #[prost(uint32, tag = "3")]
        pub renewals: u32,
    }
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct Lost {
        #[prost(message, optional, tag = "1")]
        pub cause: ::core::option::Option<::tonic_types::Status>,
    }
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct NotRenewed {
        #[prost(message, optional, tag = "1")]
        pub cause: ::core::option::Option<::tonic_types::Status>,
    }
    #[derive(Clone, PartialEq, ::prost::Oneof)]
    pub enum Message {
        #[prost(message, tag = "1")]
        Waiting(Waiting),
        #[prost(message, tag = "2")]
        Granted(Granted),
        #[prost(message, tag = "3")]
        Renewed(Renewed),
        /// The lease is over, and so is the stream. cause carries LOCK_409_STALE_FENCE.
        #[prost(message, tag = "4")]
        Lost(Lost),
        /// A heartbeat was refused, and the lease holds until it expires: LOCK_409_RENEWALS_EXHAUSTED, or a dependency that is down.
        #[prost(message, tag = "5")]
        NotRenewed(NotRenewed),
    }
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct GetLockRequest {
    /// The token's tenant when empty.
    #[prost(string, tag = "1")]
    pub tenant_id: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "2")]
    pub resource: ::core::option::Option<Resource>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct GetLockResponse {
    #[prost(message, optional, tag = "1")]
    pub lock: ::core::option::Option<Lock>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ListLocksRequest {
    /// The token's tenant when empty.
    #[prost(string, tag = "1")]
    pub tenant_id: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub project_id: ::prost::alloc::string::String,
    /// Any when empty.
    #[prost(string, tag = "3")]
    pub class: ::prost::alloc::string::String,
    /// The owner label and the principal of the holder; any when empty.
    #[prost(string, tag = "4")]
    pub owner: ::prost::alloc::string::String,
    #[prost(string, tag = "5")]
    pub actor_id: ::prost::alloc::string::String,
    /// 1 to 1,000; 50 when 0.
    #[prost(int32, tag = "6")]
    pub page_size: i32,
    /// next_page_token of the page before, of the same listing.
    #[prost(string, tag = "7")]
    pub page_token: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ListLocksResponse {
    #[prost(message, repeated, tag = "1")]
    pub locks: ::prost::alloc::vec::Vec<Lock>,
    /// Empty on the last page.
    #[prost(string, tag = "2")]
    pub next_page_token: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct WatchLockRequest {
    /// The token's tenant when empty.
    #[prost(string, tag = "1")]
    pub tenant_id: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "2")]
    pub resource: ::core::option::Option<Resource>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct WatchLockResponse {
    #[prost(message, optional, tag = "1")]
    pub lock: ::core::option::Option<Lock>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct CheckFenceRequest {
    /// The token's tenant when empty.
    #[prost(string, tag = "1")]
    pub tenant_id: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "2")]
    pub resource: ::core::option::Option<Resource>,
    /// 1 or more.
    #[prost(uint64, tag = "3")]
    pub fencing_token: u64,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct CheckFenceResponse {
    /// The token belongs to the lease that holds the resource, and that has not expired.
    #[prost(bool, tag = "1")]
    pub current: bool,
    /// The highest token that was ever given; 0 where the resource was never held. A resource refuses whatever is lower than this or than what it has seen.
    #[prost(uint64, tag = "2")]
    pub highest_token: u64,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ForceReleaseLockRequest {
    #[prost(message, optional, tag = "1")]
    pub lease: ::core::option::Option<LeaseRef>,
    /// Why: 1 to 512 characters.
    #[prost(string, tag = "2")]
    pub reason: ::prost::alloc::string::String,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ForceReleaseLockResponse {
    #[prost(message, optional, tag = "1")]
    pub released_at: ::core::option::Option<::prost_types::Timestamp>,
    /// The lease had ended before: by force, by its holder, or by running out.
    #[prost(bool, tag = "2")]
    pub replayed: bool,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ListLockClassesRequest {}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ListLockClassesResponse {
    #[prost(message, repeated, tag = "1")]
    pub classes: ::prost::alloc::vec::Vec<LockClass>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct LockClass {
    #[prost(string, tag = "1")]
    pub name: ::prost::alloc::string::String,
    /// Lower ranks are taken first.
    #[prost(uint32, tag = "2")]
    pub rank: u32,
    #[prost(string, tag = "3")]
    pub description: ::prost::alloc::string::String,
}
/// Generated client implementations.
pub mod lock_service_client {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value,
    )]
    use tonic::codegen::*;
    use tonic::codegen::http::Uri;
    /// Leases on resources: fair, in order, and fenced.
    ///
    /// A grant is a row in PostgreSQL, and exists once that is committed; what is answered is committed. A lease holds until it is
    /// released or runs out: it expires where it is not renewed within its time to live, and nobody else is granted its resources before it is
    /// stale, a little later; until then its holder may still renew it, under the same tokens. Every grant of a resource carries a
    /// fencing token that is higher than all before, whatever crashed, failed over or was restored meanwhile. A holder that was paused may
    /// believe in a lease that is over: only the resource itself, by comparing tokens, keeps its writes out.
    ///
    /// Waiters of a resource are served first come, first served. A waiter that cancels or disconnects leaves at once. One whose instance
    /// died, or drains, keeps its place for as long as that instance's own lease, 3 s at most; one whose token expires is refused with
    /// AUTH_401_INVALID_TOKEN, and keeps it for a quarter of a second: the same request, under the idempotency key that it was sent with, sent to any
    /// instance within that time, goes on waiting where it was. After a grant the same request
    /// is answered with that grant for as long as it holds.
    ///
    /// Deadlock is impossible by order: one owner takes resources in the order of the registry (by class, then project and key). A request for a
    /// resource that does not come after everything that its owner holds is refused, and so is any request of an owner that still waits for another. Requests for several resources take them in that order,
    /// each in its queue's turn, and are granted when they have all. An owner is a tenant, a principal and a label.
    ///
    /// Beside the reasons that a method names, any call can fail with AUTH_401\_*, AUTH_403_ROLE, AUTH_403_SCOPE where the token is not for the
    /// tenant or project, REQ_400\_*, REQ_408_DEADLINE, INFRA_503_DEPENDENCY_DOWN, INFRA_503_DRAINING and INTERNAL_500_UNEXPECTED. A
    /// call whose answer was lost can be sent again.
    #[derive(Debug, Clone)]
    pub struct LockServiceClient<T> {
        inner: tonic::client::Grpc<T>,
    }
    impl LockServiceClient<tonic::transport::Channel> {
        /// Attempt to create a new client by connecting to a given endpoint.
        pub async fn connect<D>(dst: D) -> Result<Self, tonic::transport::Error>
        where
            D: TryInto<tonic::transport::Endpoint>,
            D::Error: Into<StdError>,
        {
            let conn = tonic::transport::Endpoint::new(dst)?.connect().await?;
            Ok(Self::new(conn))
        }
    }
    impl<T> LockServiceClient<T>
    where
        T: tonic::client::GrpcService<tonic::body::Body>,
        T::Error: Into<StdError>,
        T::ResponseBody: Body<Data = Bytes> + std::marker::Send + 'static,
        <T::ResponseBody as Body>::Error: Into<StdError> + std::marker::Send,
    {
        pub fn new(inner: T) -> Self {
            let inner = tonic::client::Grpc::new(inner);
            Self { inner }
        }
        pub fn with_origin(inner: T, origin: Uri) -> Self {
            let inner = tonic::client::Grpc::with_origin(inner, origin);
            Self { inner }
        }
        pub fn with_interceptor<F>(
            inner: T,
            interceptor: F,
        ) -> LockServiceClient<InterceptedService<T, F>>
        where
            F: tonic::service::Interceptor,
            T::ResponseBody: Default,
            T: tonic::codegen::Service<
                http::Request<tonic::body::Body>,
                Response = http::Response<
                    <T as tonic::client::GrpcService<tonic::body::Body>>::ResponseBody,
                >,
            >,
            <T as tonic::codegen::Service<
                http::Request<tonic::body::Body>,
            >>::Error: Into<StdError> + std::marker::Send + std::marker::Sync,
        {
            LockServiceClient::new(InterceptedService::new(inner, interceptor))
        }
        /// Compress requests with the given encoding.
        ///
        /// This requires the server to support it otherwise it might respond with an
        /// error.
        #[must_use]
        pub fn send_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.inner = self.inner.send_compressed(encoding);
            self
        }
        /// Enable decompressing responses.
        #[must_use]
        pub fn accept_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.inner = self.inner.accept_compressed(encoding);
            self
        }
        /// Limits the maximum size of a decoded message.
        ///
        /// Default: `4MB`
        #[must_use]
        pub fn max_decoding_message_size(mut self, limit: usize) -> Self {
            self.inner = self.inner.max_decoding_message_size(limit);
            self
        }
        /// Limits the maximum size of an encoded message.
        ///
        /// Default: `usize::MAX`
        #[must_use]
        pub fn max_encoding_message_size(mut self, limit: usize) -> Self {
            self.inner = self.inner.max_encoding_message_size(limit);
            self
        }
        /// Acquires one resource, waiting for it for up to wait. Fails with JOB_409_LOCKED: cause `held` where it is not free and wait is
        /// none; `waited` where it was not free in time; `superseded` where a later call under the same key waits in its place; `order` where the owner holds
        /// something that comes after it, or waits, with the order of classes in the details. Fails with LOCK_404_NOT_FOUND where there is no such class;
        /// JOB_409_IDEMPOTENCY_CONFLICT where the key stands for another request; RATE_429_THROTTLED where too many calls acquire through this instance;
        /// INFRA_503_DEPENDENCY_DOWN, component `redis`, where require_mirror is set and the grant could not be mirrored: it was released again. A grant
        /// that an earlier call under the key was told of is not: it is answered as DEGRADED.
        pub async fn acquire_lock(
            &mut self,
            request: impl tonic::IntoRequest<super::AcquireLockRequest>,
        ) -> std::result::Result<
            tonic::Response<super::AcquireLockResponse>,
            tonic::Status,
        > {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/holdfast.locks.v1.LockService/AcquireLock",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("holdfast.locks.v1.LockService", "AcquireLock"));
            self.inner.unary(req, path, codec).await
        }
        /// Acquires several resources of one tenant, all or none, under one lease. Fails as AcquireLock does.
        pub async fn acquire_locks(
            &mut self,
            request: impl tonic::IntoRequest<super::AcquireLocksRequest>,
        ) -> std::result::Result<
            tonic::Response<super::AcquireLocksResponse>,
            tonic::Status,
        > {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/holdfast.locks.v1.LockService/AcquireLocks",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(
                    GrpcMethod::new("holdfast.locks.v1.LockService", "AcquireLocks"),
                );
            self.inner.unary(req, path, codec).await
        }
        /// Extends a lease by its time to live from now: the heartbeat. Fails with LOCK_409_STALE_FENCE where the lease is over, LOCK_404_NOT_FOUND where there never
        /// was such a lease of this caller; LOCK_409_RENEWALS_EXHAUSTED where it was renewed as often as it may be: finish, release and acquire again, behind
        /// those who wait.
        pub async fn renew_lock(
            &mut self,
            request: impl tonic::IntoRequest<super::RenewLockRequest>,
        ) -> std::result::Result<
            tonic::Response<super::RenewLockResponse>,
            tonic::Status,
        > {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/holdfast.locks.v1.LockService/RenewLock",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("holdfast.locks.v1.LockService", "RenewLock"));
            self.inner.unary(req, path, codec).await
        }
        /// Ends a lease, all its resources. Repeated, it is answered the same. Fails with LOCK_409_STALE_FENCE where the lease was lost before it was
        /// released: it ran out, or was taken by force; LOCK_404_NOT_FOUND as RenewLock does.
        pub async fn release_lock(
            &mut self,
            request: impl tonic::IntoRequest<super::ReleaseLockRequest>,
        ) -> std::result::Result<
            tonic::Response<super::ReleaseLockResponse>,
            tonic::Status,
        > {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/holdfast.locks.v1.LockService/ReleaseLock",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("holdfast.locks.v1.LockService", "ReleaseLock"));
            self.inner.unary(req, path, codec).await
        }
        /// Holds a lease for as long as the stream: the first message acquires or resumes, heartbeats renew, and a half-close releases. A broken
        /// stream releases nothing: the lease runs out, or the client resumes it on another stream. Loss is told at once. A wait is withdrawn when the stream
        /// breaks. Fails as AcquireLocks or, resumed, as RenewLock does, and with REQ_408_DEADLINE where the first message does not come within 10 s. Ends with
        /// INFRA_503_DRAINING when the instance stops, a wait under an idempotency key keeping its place as AcquireLock's does, and AUTH_401_INVALID_TOKEN when
        /// the token expires: resume elsewhere.
        pub async fn hold_lock(
            &mut self,
            request: impl tonic::IntoStreamingRequest<Message = super::HoldLockRequest>,
        ) -> std::result::Result<
            tonic::Response<tonic::codec::Streaming<super::HoldLockResponse>>,
            tonic::Status,
        > {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/holdfast.locks.v1.LockService/HoldLock",
            );
            let mut req = request.into_streaming_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("holdfast.locks.v1.LockService", "HoldLock"));
            self.inner.streaming(req, path, codec).await
        }
        /// Tells how a resource stands. One that was never locked is free. A lease that has run out is told of, its stale_at in the past, until somebody asks
        /// for what it holds or a sweep ends it, a moment later.
        pub async fn get_lock(
            &mut self,
            request: impl tonic::IntoRequest<super::GetLockRequest>,
        ) -> std::result::Result<
            tonic::Response<super::GetLockResponse>,
            tonic::Status,
        > {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/holdfast.locks.v1.LockService/GetLock",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("holdfast.locks.v1.LockService", "GetLock"));
            self.inner.unary(req, path, codec).await
        }
        /// Lists the resources that are held or waited for, in the order of the registry, with their waiters. Fails with REQ_400_INVALID_SCHEMA where the page
        /// token is from another listing. Where a replica is configured for lists, what it tells may be as old as that allows.
        pub async fn list_locks(
            &mut self,
            request: impl tonic::IntoRequest<super::ListLocksRequest>,
        ) -> std::result::Result<
            tonic::Response<super::ListLocksResponse>,
            tonic::Status,
        > {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/holdfast.locks.v1.LockService/ListLocks",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("holdfast.locks.v1.LockService", "ListLocks"));
            self.inner.unary(req, path, codec).await
        }
        /// Follows a resource: its state at once, and again after every change of its holder. States between two messages may be left
        /// out; consumers that need every grant read the events. Ends with INFRA_503_DRAINING and AUTH_401_INVALID_TOKEN as HoldLock does; fails with
        /// RATE_429_THROTTLED where the instance has as many watches as it may.
        pub async fn watch_lock(
            &mut self,
            request: impl tonic::IntoRequest<super::WatchLockRequest>,
        ) -> std::result::Result<
            tonic::Response<tonic::codec::Streaming<super::WatchLockResponse>>,
            tonic::Status,
        > {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/holdfast.locks.v1.LockService/WatchLock",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("holdfast.locks.v1.LockService", "WatchLock"));
            self.inner.server_streaming(req, path, codec).await
        }
        /// Whether a token is the current one of a resource that is held. A convenience: it may be over when the answer arrives. A resource that checks by itself
        /// keeps the highest token that it has seen and compares in the transaction that writes. A token that is not current is counted and, of a resource that was
        /// ever locked, told as an event, at most once a second.
        pub async fn check_fence(
            &mut self,
            request: impl tonic::IntoRequest<super::CheckFenceRequest>,
        ) -> std::result::Result<
            tonic::Response<super::CheckFenceResponse>,
            tonic::Status,
        > {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/holdfast.locks.v1.LockService/CheckFence",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("holdfast.locks.v1.LockService", "CheckFence"));
            self.inner.unary(req, path, codec).await
        }
        /// Ends somebody's lease at once, before it is stale. For people that are owners or infra-approvers; recorded with the reason. Repeated, it
        /// is answered the same. Fails with LOCK_404_NOT_FOUND where there is no such lease, or it is a request that still waits, by which a resource is merely reserved.
        pub async fn force_release_lock(
            &mut self,
            request: impl tonic::IntoRequest<super::ForceReleaseLockRequest>,
        ) -> std::result::Result<
            tonic::Response<super::ForceReleaseLockResponse>,
            tonic::Status,
        > {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/holdfast.locks.v1.LockService/ForceReleaseLock",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(
                    GrpcMethod::new("holdfast.locks.v1.LockService", "ForceReleaseLock"),
                );
            self.inner.unary(req, path, codec).await
        }
    }
}
/// Generated server implementations.
pub mod lock_service_server {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value,
    )]
    use tonic::codegen::*;
    /// Generated trait containing gRPC methods that should be implemented for use with LockServiceServer.
    #[async_trait]
    pub trait LockService: std::marker::Send + std::marker::Sync + 'static {
        /// Acquires one resource, waiting for it for up to wait. Fails with JOB_409_LOCKED: cause `held` where it is not free and wait is
        /// none; `waited` where it was not free in time; `superseded` where a later call under the same key waits in its place; `order` where the owner holds
        /// something that comes after it, or waits, with the order of classes in the details. Fails with LOCK_404_NOT_FOUND where there is no such class;
        /// JOB_409_IDEMPOTENCY_CONFLICT where the key stands for another request; RATE_429_THROTTLED where too many calls acquire through this instance;
        /// INFRA_503_DEPENDENCY_DOWN, component `redis`, where require_mirror is set and the grant could not be mirrored: it was released again. A grant
        /// that an earlier call under the key was told of is not: it is answered as DEGRADED.
        async fn acquire_lock(
            &self,
            request: tonic::Request<super::AcquireLockRequest>,
        ) -> std::result::Result<
            tonic::Response<super::AcquireLockResponse>,
            tonic::Status,
        >;
        /// Acquires several resources of one tenant, all or none, under one lease. Fails as AcquireLock does.
        async fn acquire_locks(
            &self,
            request: tonic::Request<super::AcquireLocksRequest>,
        ) -> std::result::Result<
            tonic::Response<super::AcquireLocksResponse>,
            tonic::Status,
        >;
        /// Extends a lease by its time to live from now: the heartbeat. Fails with LOCK_409_STALE_FENCE where the lease is over, LOCK_404_NOT_FOUND where there never
        /// was such a lease of this caller; LOCK_409_RENEWALS_EXHAUSTED where it was renewed as often as it may be: finish, release and acquire again, behind
        /// those who wait.
        async fn renew_lock(
            &self,
            request: tonic::Request<super::RenewLockRequest>,
        ) -> std::result::Result<
            tonic::Response<super::RenewLockResponse>,
            tonic::Status,
        >;
        /// Ends a lease, all its resources. Repeated, it is answered the same. Fails with LOCK_409_STALE_FENCE where the lease was lost before it was
        /// released: it ran out, or was taken by force; LOCK_404_NOT_FOUND as RenewLock does.
        async fn release_lock(
            &self,
            request: tonic::Request<super::ReleaseLockRequest>,
        ) -> std::result::Result<
            tonic::Response<super::ReleaseLockResponse>,
            tonic::Status,
        >;
        /// Server streaming response type for the HoldLock method.
        type HoldLockStream: tonic::codegen::tokio_stream::Stream<
                Item = std::result::Result<super::HoldLockResponse, tonic::Status>,
            >
            + std::marker::Send
            + 'static;
        /// Holds a lease for as long as the stream: the first message acquires or resumes, heartbeats renew, and a half-close releases. A broken
        /// stream releases nothing: the lease runs out, or the client resumes it on another stream. Loss is told at once. A wait is withdrawn when the stream
        /// breaks. Fails as AcquireLocks or, resumed, as RenewLock does, and with REQ_408_DEADLINE where the first message does not come within 10 s. Ends with
        /// INFRA_503_DRAINING when the instance stops, a wait under an idempotency key keeping its place as AcquireLock's does, and AUTH_401_INVALID_TOKEN when
        /// the token expires: resume elsewhere.
        async fn hold_lock(
            &self,
            request: tonic::Request<tonic::Streaming<super::HoldLockRequest>>,
        ) -> std::result::Result<tonic::Response<Self::HoldLockStream>, tonic::Status>;
        /// Tells how a resource stands. One that was never locked is free. A lease that has run out is told of, its stale_at in the past, until somebody asks
        /// for what it holds or a sweep ends it, a moment later.
        async fn get_lock(
            &self,
            request: tonic::Request<super::GetLockRequest>,
        ) -> std::result::Result<tonic::Response<super::GetLockResponse>, tonic::Status>;
        /// Lists the resources that are held or waited for, in the order of the registry, with their waiters. Fails with REQ_400_INVALID_SCHEMA where the page
        /// token is from another listing. Where a replica is configured for lists, what it tells may be as old as that allows.
        async fn list_locks(
            &self,
            request: tonic::Request<super::ListLocksRequest>,
        ) -> std::result::Result<
            tonic::Response<super::ListLocksResponse>,
            tonic::Status,
        >;
        /// Server streaming response type for the WatchLock method.
        type WatchLockStream: tonic::codegen::tokio_stream::Stream<
                Item = std::result::Result<super::WatchLockResponse, tonic::Status>,
            >
            + std::marker::Send
            + 'static;
        /// Follows a resource: its state at once, and again after every change of its holder. States between two messages may be left
        /// out; consumers that need every grant read the events. Ends with INFRA_503_DRAINING and AUTH_401_INVALID_TOKEN as HoldLock does; fails with
        /// RATE_429_THROTTLED where the instance has as many watches as it may.
        async fn watch_lock(
            &self,
            request: tonic::Request<super::WatchLockRequest>,
        ) -> std::result::Result<tonic::Response<Self::WatchLockStream>, tonic::Status>;
        /// Whether a token is the current one of a resource that is held. A convenience: it may be over when the answer arrives. A resource that checks by itself
        /// keeps the highest token that it has seen and compares in the transaction that writes. A token that is not current is counted and, of a resource that was
        /// ever locked, told as an event, at most once a second.
        async fn check_fence(
            &self,
            request: tonic::Request<super::CheckFenceRequest>,
        ) -> std::result::Result<
            tonic::Response<super::CheckFenceResponse>,
            tonic::Status,
        >;
        /// Ends somebody's lease at once, before it is stale. For people that are owners or infra-approvers; recorded with the reason. Repeated, it
        /// is answered the same. Fails with LOCK_404_NOT_FOUND where there is no such lease, or it is a request that still waits, by which a resource is merely reserved.
        async fn force_release_lock(
            &self,
            request: tonic::Request<super::ForceReleaseLockRequest>,
        ) -> std::result::Result<
            tonic::Response<super::ForceReleaseLockResponse>,
            tonic::Status,
        >;
    }
    /// Leases on resources: fair, in order, and fenced.
    ///
    /// A grant is a row in PostgreSQL, and exists once that is committed; what is answered is committed. A lease holds until it is
    /// released or runs out: it expires where it is not renewed within its time to live, and nobody else is granted its resources before it is
    /// stale, a little later; until then its holder may still renew it, under the same tokens. Every grant of a resource carries a
    /// fencing token that is higher than all before, whatever crashed, failed over or was restored meanwhile. A holder that was paused may
    /// believe in a lease that is over: only the resource itself, by comparing tokens, keeps its writes out.
    ///
    /// Waiters of a resource are served first come, first served. A waiter that cancels or disconnects leaves at once. One whose instance
    /// died, or drains, keeps its place for as long as that instance's own lease, 3 s at most; one whose token expires is refused with
    /// AUTH_401_INVALID_TOKEN, and keeps it for a quarter of a second: the same request, under the idempotency key that it was sent with, sent to any
    /// instance within that time, goes on waiting where it was. After a grant the same request
    /// is answered with that grant for as long as it holds.
    ///
    /// Deadlock is impossible by order: one owner takes resources in the order of the registry (by class, then project and key). A request for a
    /// resource that does not come after everything that its owner holds is refused, and so is any request of an owner that still waits for another. Requests for several resources take them in that order,
    /// each in its queue's turn, and are granted when they have all. An owner is a tenant, a principal and a label.
    ///
    /// Beside the reasons that a method names, any call can fail with AUTH_401\_*, AUTH_403_ROLE, AUTH_403_SCOPE where the token is not for the
    /// tenant or project, REQ_400\_*, REQ_408_DEADLINE, INFRA_503_DEPENDENCY_DOWN, INFRA_503_DRAINING and INTERNAL_500_UNEXPECTED. A
    /// call whose answer was lost can be sent again.
    #[derive(Debug)]
    pub struct LockServiceServer<T> {
        inner: Arc<T>,
        accept_compression_encodings: EnabledCompressionEncodings,
        send_compression_encodings: EnabledCompressionEncodings,
        max_decoding_message_size: Option<usize>,
        max_encoding_message_size: Option<usize>,
    }
    impl<T> LockServiceServer<T> {
        pub fn new(inner: T) -> Self {
            Self::from_arc(Arc::new(inner))
        }
        pub fn from_arc(inner: Arc<T>) -> Self {
            Self {
                inner,
                accept_compression_encodings: Default::default(),
                send_compression_encodings: Default::default(),
                max_decoding_message_size: None,
                max_encoding_message_size: None,
            }
        }
        pub fn with_interceptor<F>(
            inner: T,
            interceptor: F,
        ) -> InterceptedService<Self, F>
        where
            F: tonic::service::Interceptor,
        {
            InterceptedService::new(Self::new(inner), interceptor)
        }
        /// Enable decompressing requests with the given encoding.
        #[must_use]
        pub fn accept_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.accept_compression_encodings.enable(encoding);
            self
        }
        /// Compress responses with the given encoding, if the client supports it.
        #[must_use]
        pub fn send_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.send_compression_encodings.enable(encoding);
            self
        }
        /// Limits the maximum size of a decoded message.
        ///
        /// Default: `4MB`
        #[must_use]
        pub fn max_decoding_message_size(mut self, limit: usize) -> Self {
            self.max_decoding_message_size = Some(limit);
            self
        }
        /// Limits the maximum size of an encoded message.
        ///
        /// Default: `usize::MAX`
        #[must_use]
        pub fn max_encoding_message_size(mut self, limit: usize) -> Self {
            self.max_encoding_message_size = Some(limit);
            self
        }
    }
    impl<T, B> tonic::codegen::Service<http::Request<B>> for LockServiceServer<T>
    where
        T: LockService,
        B: Body + std::marker::Send + 'static,
        B::Error: Into<StdError> + std::marker::Send + 'static,
    {
        type Response = http::Response<tonic::body::Body>;
        type Error = std::convert::Infallible;
        type Future = BoxFuture<Self::Response, Self::Error>;
        fn poll_ready(
            &mut self,
            _cx: &mut Context<'_>,
        ) -> Poll<std::result::Result<(), Self::Error>> {
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, req: http::Request<B>) -> Self::Future {
            match req.uri().path() {
                "/holdfast.locks.v1.LockService/AcquireLock" => {
                    #[allow(non_camel_case_types)]
                    struct AcquireLockSvc<T: LockService>(pub Arc<T>);
                    impl<
                        T: LockService,
                    > tonic::server::UnaryService<super::AcquireLockRequest>
                    for AcquireLockSvc<T> {
                        type Response = super::AcquireLockResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::AcquireLockRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as LockService>::acquire_lock(&inner, request).await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = AcquireLockSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.unary(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                "/holdfast.locks.v1.LockService/AcquireLocks" => {
                    #[allow(non_camel_case_types)]
                    struct AcquireLocksSvc<T: LockService>(pub Arc<T>);
                    impl<
                        T: LockService,
                    > tonic::server::UnaryService<super::AcquireLocksRequest>
                    for AcquireLocksSvc<T> {
                        type Response = super::AcquireLocksResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::AcquireLocksRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as LockService>::acquire_locks(&inner, request).await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = AcquireLocksSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.unary(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                "/holdfast.locks.v1.LockService/RenewLock" => {
                    #[allow(non_camel_case_types)]
                    struct RenewLockSvc<T: LockService>(pub Arc<T>);
                    impl<
                        T: LockService,
                    > tonic::server::UnaryService<super::RenewLockRequest>
                    for RenewLockSvc<T> {
                        type Response = super::RenewLockResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::RenewLockRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as LockService>::renew_lock(&inner, request).await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = RenewLockSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.unary(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                "/holdfast.locks.v1.LockService/ReleaseLock" => {
                    #[allow(non_camel_case_types)]
                    struct ReleaseLockSvc<T: LockService>(pub Arc<T>);
                    impl<
                        T: LockService,
                    > tonic::server::UnaryService<super::ReleaseLockRequest>
                    for ReleaseLockSvc<T> {
                        type Response = super::ReleaseLockResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::ReleaseLockRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as LockService>::release_lock(&inner, request).await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = ReleaseLockSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.unary(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                "/holdfast.locks.v1.LockService/HoldLock" => {
                    #[allow(non_camel_case_types)]
                    struct HoldLockSvc<T: LockService>(pub Arc<T>);
                    impl<
                        T: LockService,
                    > tonic::server::StreamingService<super::HoldLockRequest>
                    for HoldLockSvc<T> {
                        type Response = super::HoldLockResponse;
                        type ResponseStream = T::HoldLockStream;
                        type Future = BoxFuture<
                            tonic::Response<Self::ResponseStream>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<
                                tonic::Streaming<super::HoldLockRequest>,
                            >,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as LockService>::hold_lock(&inner, request).await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = HoldLockSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.streaming(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                "/holdfast.locks.v1.LockService/GetLock" => {
                    #[allow(non_camel_case_types)]
                    struct GetLockSvc<T: LockService>(pub Arc<T>);
                    impl<
                        T: LockService,
                    > tonic::server::UnaryService<super::GetLockRequest>
                    for GetLockSvc<T> {
                        type Response = super::GetLockResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::GetLockRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as LockService>::get_lock(&inner, request).await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = GetLockSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.unary(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                "/holdfast.locks.v1.LockService/ListLocks" => {
                    #[allow(non_camel_case_types)]
                    struct ListLocksSvc<T: LockService>(pub Arc<T>);
                    impl<
                        T: LockService,
                    > tonic::server::UnaryService<super::ListLocksRequest>
                    for ListLocksSvc<T> {
                        type Response = super::ListLocksResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::ListLocksRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as LockService>::list_locks(&inner, request).await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = ListLocksSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.unary(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                "/holdfast.locks.v1.LockService/WatchLock" => {
                    #[allow(non_camel_case_types)]
                    struct WatchLockSvc<T: LockService>(pub Arc<T>);
                    impl<
                        T: LockService,
                    > tonic::server::ServerStreamingService<super::WatchLockRequest>
                    for WatchLockSvc<T> {
                        type Response = super::WatchLockResponse;
                        type ResponseStream = T::WatchLockStream;
                        type Future = BoxFuture<
                            tonic::Response<Self::ResponseStream>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::WatchLockRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as LockService>::watch_lock(&inner, request).await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = WatchLockSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.server_streaming(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                "/holdfast.locks.v1.LockService/CheckFence" => {
                    #[allow(non_camel_case_types)]
                    struct CheckFenceSvc<T: LockService>(pub Arc<T>);
                    impl<
                        T: LockService,
                    > tonic::server::UnaryService<super::CheckFenceRequest>
                    for CheckFenceSvc<T> {
                        type Response = super::CheckFenceResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::CheckFenceRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as LockService>::check_fence(&inner, request).await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = CheckFenceSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.unary(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                "/holdfast.locks.v1.LockService/ForceReleaseLock" => {
                    #[allow(non_camel_case_types)]
                    struct ForceReleaseLockSvc<T: LockService>(pub Arc<T>);
                    impl<
                        T: LockService,
                    > tonic::server::UnaryService<super::ForceReleaseLockRequest>
                    for ForceReleaseLockSvc<T> {
                        type Response = super::ForceReleaseLockResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::ForceReleaseLockRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as LockService>::force_release_lock(&inner, request)
                                    .await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = ForceReleaseLockSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.unary(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                _ => {
                    Box::pin(async move {
                        let mut response = http::Response::new(
                            tonic::body::Body::default(),
                        );
                        let headers = response.headers_mut();
                        headers
                            .insert(
                                tonic::Status::GRPC_STATUS,
                                (tonic::Code::Unimplemented as i32).into(),
                            );
                        headers
                            .insert(
                                http::header::CONTENT_TYPE,
                                tonic::metadata::GRPC_CONTENT_TYPE,
                            );
                        Ok(response)
                    })
                }
            }
        }
    }
    impl<T> Clone for LockServiceServer<T> {
        fn clone(&self) -> Self {
            let inner = self.inner.clone();
            Self {
                inner,
                accept_compression_encodings: self.accept_compression_encodings,
                send_compression_encodings: self.send_compression_encodings,
                max_decoding_message_size: self.max_decoding_message_size,
                max_encoding_message_size: self.max_encoding_message_size,
            }
        }
    }
    /// Generated gRPC service name
    pub const SERVICE_NAME: &str = "holdfast.locks.v1.LockService";
    impl<T> tonic::server::NamedService for LockServiceServer<T> {
        const NAME: &'static str = SERVICE_NAME;
    }
}
/// Generated client implementations.
pub mod lock_class_service_client {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value,
    )]
    use tonic::codegen::*;
    use tonic::codegen::http::Uri;
    /// The order registry. Its table is changed by migrations of the owner role alone; every change is recorded beside it.
    #[derive(Debug, Clone)]
    pub struct LockClassServiceClient<T> {
        inner: tonic::client::Grpc<T>,
    }
    impl LockClassServiceClient<tonic::transport::Channel> {
        /// Attempt to create a new client by connecting to a given endpoint.
        pub async fn connect<D>(dst: D) -> Result<Self, tonic::transport::Error>
        where
            D: TryInto<tonic::transport::Endpoint>,
            D::Error: Into<StdError>,
        {
            let conn = tonic::transport::Endpoint::new(dst)?.connect().await?;
            Ok(Self::new(conn))
        }
    }
    impl<T> LockClassServiceClient<T>
    where
        T: tonic::client::GrpcService<tonic::body::Body>,
        T::Error: Into<StdError>,
        T::ResponseBody: Body<Data = Bytes> + std::marker::Send + 'static,
        <T::ResponseBody as Body>::Error: Into<StdError> + std::marker::Send,
    {
        pub fn new(inner: T) -> Self {
            let inner = tonic::client::Grpc::new(inner);
            Self { inner }
        }
        pub fn with_origin(inner: T, origin: Uri) -> Self {
            let inner = tonic::client::Grpc::with_origin(inner, origin);
            Self { inner }
        }
        pub fn with_interceptor<F>(
            inner: T,
            interceptor: F,
        ) -> LockClassServiceClient<InterceptedService<T, F>>
        where
            F: tonic::service::Interceptor,
            T::ResponseBody: Default,
            T: tonic::codegen::Service<
                http::Request<tonic::body::Body>,
                Response = http::Response<
                    <T as tonic::client::GrpcService<tonic::body::Body>>::ResponseBody,
                >,
            >,
            <T as tonic::codegen::Service<
                http::Request<tonic::body::Body>,
            >>::Error: Into<StdError> + std::marker::Send + std::marker::Sync,
        {
            LockClassServiceClient::new(InterceptedService::new(inner, interceptor))
        }
        /// Compress requests with the given encoding.
        ///
        /// This requires the server to support it otherwise it might respond with an
        /// error.
        #[must_use]
        pub fn send_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.inner = self.inner.send_compressed(encoding);
            self
        }
        /// Enable decompressing responses.
        #[must_use]
        pub fn accept_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.inner = self.inner.accept_compressed(encoding);
            self
        }
        /// Limits the maximum size of a decoded message.
        ///
        /// Default: `4MB`
        #[must_use]
        pub fn max_decoding_message_size(mut self, limit: usize) -> Self {
            self.inner = self.inner.max_decoding_message_size(limit);
            self
        }
        /// Limits the maximum size of an encoded message.
        ///
        /// Default: `usize::MAX`
        #[must_use]
        pub fn max_encoding_message_size(mut self, limit: usize) -> Self {
            self.inner = self.inner.max_encoding_message_size(limit);
            self
        }
        /// Lists the classes in the order in which they are taken.
        pub async fn list_lock_classes(
            &mut self,
            request: impl tonic::IntoRequest<super::ListLockClassesRequest>,
        ) -> std::result::Result<
            tonic::Response<super::ListLockClassesResponse>,
            tonic::Status,
        > {
            self.inner
                .ready()
                .await
                .map_err(|e| {
                    tonic::Status::unknown(
                        format!("Service was not ready: {}", e.into()),
                    )
                })?;
            let codec = tonic_prost::ProstCodec::default();
            let path = http::uri::PathAndQuery::from_static(
                "/holdfast.locks.v1.LockClassService/ListLockClasses",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(
                    GrpcMethod::new(
                        "holdfast.locks.v1.LockClassService",
                        "ListLockClasses",
                    ),
                );
            self.inner.unary(req, path, codec).await
        }
    }
}
/// Generated server implementations.
pub mod lock_class_service_server {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value,
    )]
    use tonic::codegen::*;
    /// Generated trait containing gRPC methods that should be implemented for use with LockClassServiceServer.
    #[async_trait]
    pub trait LockClassService: std::marker::Send + std::marker::Sync + 'static {
        /// Lists the classes in the order in which they are taken.
        async fn list_lock_classes(
            &self,
            request: tonic::Request<super::ListLockClassesRequest>,
        ) -> std::result::Result<
            tonic::Response<super::ListLockClassesResponse>,
            tonic::Status,
        >;
    }
    /// The order registry. Its table is changed by migrations of the owner role alone; every change is recorded beside it.
    #[derive(Debug)]
    pub struct LockClassServiceServer<T> {
        inner: Arc<T>,
        accept_compression_encodings: EnabledCompressionEncodings,
        send_compression_encodings: EnabledCompressionEncodings,
        max_decoding_message_size: Option<usize>,
        max_encoding_message_size: Option<usize>,
    }
    impl<T> LockClassServiceServer<T> {
        pub fn new(inner: T) -> Self {
            Self::from_arc(Arc::new(inner))
        }
        pub fn from_arc(inner: Arc<T>) -> Self {
            Self {
                inner,
                accept_compression_encodings: Default::default(),
                send_compression_encodings: Default::default(),
                max_decoding_message_size: None,
                max_encoding_message_size: None,
            }
        }
        pub fn with_interceptor<F>(
            inner: T,
            interceptor: F,
        ) -> InterceptedService<Self, F>
        where
            F: tonic::service::Interceptor,
        {
            InterceptedService::new(Self::new(inner), interceptor)
        }
        /// Enable decompressing requests with the given encoding.
        #[must_use]
        pub fn accept_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.accept_compression_encodings.enable(encoding);
            self
        }
        /// Compress responses with the given encoding, if the client supports it.
        #[must_use]
        pub fn send_compressed(mut self, encoding: CompressionEncoding) -> Self {
            self.send_compression_encodings.enable(encoding);
            self
        }
        /// Limits the maximum size of a decoded message.
        ///
        /// Default: `4MB`
        #[must_use]
        pub fn max_decoding_message_size(mut self, limit: usize) -> Self {
            self.max_decoding_message_size = Some(limit);
            self
        }
        /// Limits the maximum size of an encoded message.
        ///
        /// Default: `usize::MAX`
        #[must_use]
        pub fn max_encoding_message_size(mut self, limit: usize) -> Self {
            self.max_encoding_message_size = Some(limit);
            self
        }
    }
    impl<T, B> tonic::codegen::Service<http::Request<B>> for LockClassServiceServer<T>
    where
        T: LockClassService,
        B: Body + std::marker::Send + 'static,
        B::Error: Into<StdError> + std::marker::Send + 'static,
    {
        type Response = http::Response<tonic::body::Body>;
        type Error = std::convert::Infallible;
        type Future = BoxFuture<Self::Response, Self::Error>;
        fn poll_ready(
            &mut self,
            _cx: &mut Context<'_>,
        ) -> Poll<std::result::Result<(), Self::Error>> {
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, req: http::Request<B>) -> Self::Future {
            match req.uri().path() {
                "/holdfast.locks.v1.LockClassService/ListLockClasses" => {
                    #[allow(non_camel_case_types)]
                    struct ListLockClassesSvc<T: LockClassService>(pub Arc<T>);
                    impl<
                        T: LockClassService,
                    > tonic::server::UnaryService<super::ListLockClassesRequest>
                    for ListLockClassesSvc<T> {
                        type Response = super::ListLockClassesResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::ListLockClassesRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as LockClassService>::list_lock_classes(&inner, request)
                                    .await
                            };
                            Box::pin(fut)
                        }
                    }
                    let accept_compression_encodings = self.accept_compression_encodings;
                    let send_compression_encodings = self.send_compression_encodings;
                    let max_decoding_message_size = self.max_decoding_message_size;
                    let max_encoding_message_size = self.max_encoding_message_size;
                    let inner = self.inner.clone();
                    let fut = async move {
                        let method = ListLockClassesSvc(inner);
                        let codec = tonic_prost::ProstCodec::default();
                        let mut grpc = tonic::server::Grpc::new(codec)
                            .apply_compression_config(
                                accept_compression_encodings,
                                send_compression_encodings,
                            )
                            .apply_max_message_size_config(
                                max_decoding_message_size,
                                max_encoding_message_size,
                            );
                        let res = grpc.unary(method, req).await;
                        Ok(res)
                    };
                    Box::pin(fut)
                }
                _ => {
                    Box::pin(async move {
                        let mut response = http::Response::new(
                            tonic::body::Body::default(),
                        );
                        let headers = response.headers_mut();
                        headers
                            .insert(
                                tonic::Status::GRPC_STATUS,
                                (tonic::Code::Unimplemented as i32).into(),
                            );
                        headers
                            .insert(
                                http::header::CONTENT_TYPE,
                                tonic::metadata::GRPC_CONTENT_TYPE,
                            );
                        Ok(response)
                    })
                }
            }
        }
    }
    impl<T> Clone for LockClassServiceServer<T> {
        fn clone(&self) -> Self {
            let inner = self.inner.clone();
            Self {
                inner,
                accept_compression_encodings: self.accept_compression_encodings,
                send_compression_encodings: self.send_compression_encodings,
                max_decoding_message_size: self.max_decoding_message_size,
                max_encoding_message_size: self.max_encoding_message_size,
            }
        }
    }
    /// Generated gRPC service name
    pub const SERVICE_NAME: &str = "holdfast.locks.v1.LockClassService";
    impl<T> tonic::server::NamedService for LockClassServiceServer<T> {
        const NAME: &'static str = SERVICE_NAME;
    }
}
