// @generated from proto/ by `make proto`. Do not edit.
/// One decision as recorded. Records are never changed: a correction is a further record.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Approval {
    /// A UUIDv7, made by the service.
    #[prost(string, tag = "1")]
    pub approval_id: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub job_id: ::prost::alloc::string::String,
    /// 1 for the job's first decision, then without gaps.
    #[prost(int32, tag = "3")]
    pub number: i32,
    #[prost(enumeration = "Decision", tag = "4")]
    pub decision: i32,
    #[prost(string, tag = "5")]
    pub reason: ::prost::alloc::string::String,
    /// Who decided: a person, whoever presented the token for them.
    #[prost(string, tag = "6")]
    pub actor_id: ::prost::alloc::string::String,
    /// The role under which they were allowed to: "owner", "infra-approver".
    #[prost(string, tag = "7")]
    pub role: ::prost::alloc::string::String,
    /// The record that this one corrects; empty for others.
    #[prost(string, tag = "8")]
    pub corrects: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "9")]
    pub decided_at: ::core::option::Option<::prost_types::Timestamp>,
    #[prost(string, tag = "10")]
    pub request_id: ::prost::alloc::string::String,
    #[prost(string, tag = "11")]
    pub trace_id: ::prost::alloc::string::String,
}
/// What a person decides about a job of tier C.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum Decision {
    Unspecified = 0,
    /// The job is queued.
    Approve = 1,
    /// The job ends as REJECTED.
    Reject = 2,
    /// The job is sent back to its submitter, and never runs as it is.
    RequestChanges = 3,
    /// Not now: the job waits on, without reminders, for a follow-up decision. Once a job.
    Defer = 4,
}
impl Decision {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unspecified => "DECISION_UNSPECIFIED",
            Self::Approve => "DECISION_APPROVE",
            Self::Reject => "DECISION_REJECT",
            Self::RequestChanges => "DECISION_REQUEST_CHANGES",
            Self::Defer => "DECISION_DEFER",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "DECISION_UNSPECIFIED" => Some(Self::Unspecified),
            "DECISION_APPROVE" => Some(Self::Approve),
            "DECISION_REJECT" => Some(Self::Reject),
            "DECISION_REQUEST_CHANGES" => Some(Self::RequestChanges),
            "DECISION_DEFER" => Some(Self::Defer),
            _ => None,
        }
    }
}
/// Names a key; the actor is the caller.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct KeyScope {
    /// 1 to 64 of a-z, 0-9, '-', '\_', '.', beginning with a letter or digit; the token's tenant when empty.
    #[prost(string, tag = "1")]
    pub tenant_id: ::prost::alloc::string::String,
    /// 1 to 64 of the same alphabet.
    #[prost(string, tag = "2")]
    pub project_id: ::prost::alloc::string::String,
    /// 1 to 128 of the same alphabet.
    #[prost(string, tag = "3")]
    pub intent: ::prost::alloc::string::String,
    /// 1 to 256 printable ASCII characters without spaces.
    #[prost(string, tag = "4")]
    pub idempotency_key: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ReserveKeyRequest {
    /// Required.
    #[prost(message, optional, tag = "1")]
    pub scope: ::core::option::Option<KeyScope>,
    /// What makes two requests the same: 1 byte to 960 KiB, hashed by the service and not kept.
    #[prost(bytes = "vec", tag = "2")]
    pub request: ::prost::alloc::vec::Vec<u8>,
    /// Media type of request (RFC 9110), at most 128 characters; "application/json" when empty. JSON is compared in its
    /// canonical form, and may nest at most 10 levels deep.
    #[prost(string, tag = "3")]
    pub content_type: ::prost::alloc::string::String,
    /// How long the caller may work before another may take over: 1 s to 1 h; 30 s when absent.
    #[prost(message, optional, tag = "4")]
    pub lease: ::core::option::Option<::prost_types::Duration>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ReserveKeyResponse {
    #[prost(oneof = "reserve_key_response::Outcome", tags = "1, 2, 3")]
    pub outcome: ::core::option::Option<reserve_key_response::Outcome>,
}
/// Nested message and enum types in `ReserveKeyResponse`.
pub mod reserve_key_response {
    #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Granted {
        /// Grows with every grant of this key; goes with CompleteKey.
        #[prost(uint64, tag = "1")]
        pub token: u64,
        /// By the database's clock.
        #[prost(message, optional, tag = "2")]
        pub lease_expires_at: ::core::option::Option<::prost_types::Timestamp>,
        /// True where an earlier holder's lease ran out: what it did is unknown.
        #[prost(bool, tag = "3")]
        pub earlier_outcome_unknown: bool,
        /// How many windows this key has begun; 1 for the first.
        #[prost(int64, tag = "4")]
        pub generation: i64,
        /// When the key may be used anew.
        #[prost(message, optional, tag = "5")]
        pub window_end: ::core::option::Option<::prost_types::Timestamp>,
    }
    #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct InProgress {
        /// Ask again then.
        #[prost(message, optional, tag = "1")]
        pub lease_expires_at: ::core::option::Option<::prost_types::Timestamp>,
    }
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Completed {
        /// As CompleteKey recorded it, to the byte.
        #[prost(bytes = "vec", tag = "1")]
        pub outcome: ::prost::alloc::vec::Vec<u8>,
        /// Media type of outcome.
        #[prost(string, tag = "2")]
        pub content_type: ::prost::alloc::string::String,
        #[prost(message, optional, tag = "3")]
        pub completed_at: ::core::option::Option<::prost_types::Timestamp>,
        /// How many windows this key has begun; 1 for the first.
        #[prost(int64, tag = "4")]
        pub generation: i64,
    }
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Oneof)]
    pub enum Outcome {
        #[prost(message, tag = "1")]
        Granted(Granted),
        #[prost(message, tag = "2")]
        InProgress(InProgress),
        #[prost(message, tag = "3")]
        Completed(Completed),
    }
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct CompleteKeyRequest {
    /// Required; as in the ReserveKey that was granted.
    #[prost(message, optional, tag = "1")]
    pub scope: ::core::option::Option<KeyScope>,
    /// The token of the grant, 1 or more.
    #[prost(uint64, tag = "2")]
    pub token: u64,
    /// At most 64 KiB; given to every later caller of the key.
    #[prost(bytes = "vec", tag = "3")]
    pub outcome: ::prost::alloc::vec::Vec<u8>,
    /// Media type of outcome (RFC 9110), at most 128 characters; "application/json" when empty. JSON has to be well-formed,
    /// and may nest at most 10 levels deep.
    #[prost(string, tag = "4")]
    pub content_type: ::prost::alloc::string::String,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct CompleteKeyResponse {
    #[prost(message, optional, tag = "1")]
    pub completed_at: ::core::option::Option<::prost_types::Timestamp>,
    /// True where the same token had completed the key with the same outcome before.
    #[prost(bool, tag = "2")]
    pub replayed: bool,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct GetKeyRequest {
    /// Required.
    #[prost(message, optional, tag = "1")]
    pub scope: ::core::option::Option<KeyScope>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct GetKeyResponse {
    #[prost(enumeration = "KeyState", tag = "1")]
    pub state: i32,
    /// How many windows this key has begun; 1 for the first.
    #[prost(int64, tag = "2")]
    pub generation: i64,
    /// When the window was opened.
    #[prost(message, optional, tag = "3")]
    pub first_seen_at: ::core::option::Option<::prost_types::Timestamp>,
    /// When a caller last came with the key in this window.
    #[prost(message, optional, tag = "4")]
    pub last_seen_at: ::core::option::Option<::prost_types::Timestamp>,
    /// When the key may be used anew.
    #[prost(message, optional, tag = "5")]
    pub window_end: ::core::option::Option<::prost_types::Timestamp>,
    /// Present where the key queued a job.
    #[prost(string, tag = "6")]
    pub job_id: ::prost::alloc::string::String,
    /// Present, with its content type, where the key was completed.
    #[prost(bytes = "vec", tag = "7")]
    pub outcome: ::prost::alloc::vec::Vec<u8>,
    #[prost(string, tag = "8")]
    pub content_type: ::prost::alloc::string::String,
    /// Present in state RESERVED, by the database's clock.
    #[prost(message, optional, tag = "9")]
    pub lease_expires_at: ::core::option::Option<::prost_types::Timestamp>,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum KeyState {
    Unspecified = 0,
    /// Somebody works under the reservation, or its lease ran out and nobody has taken over.
    Reserved = 1,
    /// An outcome is recorded, or the key queued a job.
    Completed = 2,
}
impl KeyState {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unspecified => "KEY_STATE_UNSPECIFIED",
            Self::Reserved => "KEY_STATE_RESERVED",
            Self::Completed => "KEY_STATE_COMPLETED",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "KEY_STATE_UNSPECIFIED" => Some(Self::Unspecified),
            "KEY_STATE_RESERVED" => Some(Self::Reserved),
            "KEY_STATE_COMPLETED" => Some(Self::Completed),
            _ => None,
        }
    }
}
/// Generated client implementations.
pub mod idempotency_service_client {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value,
    )]
    use tonic::codegen::*;
    use tonic::codegen::http::Uri;
    /// The idempotency ledger, for the intents of other services.
    ///
    /// A caller reserves a key, does its work and completes the key with an outcome that every later caller is given. The
    /// reservation is a lease: when it runs out, the next caller with the same request takes over with a higher token and is
    /// told that the outcome of the earlier one is unknown, so that it looks before it acts. A CompleteKey with a token that is
    /// no longer the current one is refused.
    ///
    /// Scope of a key: (tenant, project, intent, actor, key). The window opens at the first use and lasts 24 h by default.
    ///
    /// Beside the reasons that a method names, any call can fail with AUTH_401\_*, AUTH_403_ROLE, AUTH_403_SCOPE where the token
    /// is not for the tenant, project or intent, REQ_400\_*, REQ_408_DEADLINE, INFRA_503_DEPENDENCY_DOWN, INFRA_503_DRAINING
    /// and INTERNAL_500_UNEXPECTED.
    #[derive(Debug, Clone)]
    pub struct IdempotencyServiceClient<T> {
        inner: tonic::client::Grpc<T>,
    }
    impl IdempotencyServiceClient<tonic::transport::Channel> {
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
    impl<T> IdempotencyServiceClient<T>
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
        ) -> IdempotencyServiceClient<InterceptedService<T, F>>
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
            IdempotencyServiceClient::new(InterceptedService::new(inner, interceptor))
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
        /// Reserves the key for the caller, or tells that another call works under it, or with what outcome one has. Fails with
        /// JOB_409_IDEMPOTENCY_CONFLICT where the key was used in its window for another request, or queued a job.
        pub async fn reserve_key(
            &mut self,
            request: impl tonic::IntoRequest<super::ReserveKeyRequest>,
        ) -> std::result::Result<
            tonic::Response<super::ReserveKeyResponse>,
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
                "/holdfast.jobs.v1.IdempotencyService/ReserveKey",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(
                    GrpcMethod::new("holdfast.jobs.v1.IdempotencyService", "ReserveKey"),
                );
            self.inner.unary(req, path, codec).await
        }
        /// Records the outcome under the current reservation, also where its lease ran out and nobody took over. Fails with
        /// IDEMPOTENCY_404_NOT_FOUND; IDEMPOTENCY_409_STALE_TOKEN where another call took over, the window is over, or another
        /// outcome is recorded.
        pub async fn complete_key(
            &mut self,
            request: impl tonic::IntoRequest<super::CompleteKeyRequest>,
        ) -> std::result::Result<
            tonic::Response<super::CompleteKeyResponse>,
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
                "/holdfast.jobs.v1.IdempotencyService/CompleteKey",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(
                    GrpcMethod::new("holdfast.jobs.v1.IdempotencyService", "CompleteKey"),
                );
            self.inner.unary(req, path, codec).await
        }
        /// Tells how the key stands in its latest window. Fails with IDEMPOTENCY_404_NOT_FOUND.
        pub async fn get_key(
            &mut self,
            request: impl tonic::IntoRequest<super::GetKeyRequest>,
        ) -> std::result::Result<tonic::Response<super::GetKeyResponse>, tonic::Status> {
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
                "/holdfast.jobs.v1.IdempotencyService/GetKey",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(
                    GrpcMethod::new("holdfast.jobs.v1.IdempotencyService", "GetKey"),
                );
            self.inner.unary(req, path, codec).await
        }
    }
}
/// Generated server implementations.
pub mod idempotency_service_server {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value,
    )]
    use tonic::codegen::*;
    /// Generated trait containing gRPC methods that should be implemented for use with IdempotencyServiceServer.
    #[async_trait]
    pub trait IdempotencyService: std::marker::Send + std::marker::Sync + 'static {
        /// Reserves the key for the caller, or tells that another call works under it, or with what outcome one has. Fails with
        /// JOB_409_IDEMPOTENCY_CONFLICT where the key was used in its window for another request, or queued a job.
        async fn reserve_key(
            &self,
            request: tonic::Request<super::ReserveKeyRequest>,
        ) -> std::result::Result<
            tonic::Response<super::ReserveKeyResponse>,
            tonic::Status,
        >;
        /// Records the outcome under the current reservation, also where its lease ran out and nobody took over. Fails with
        /// IDEMPOTENCY_404_NOT_FOUND; IDEMPOTENCY_409_STALE_TOKEN where another call took over, the window is over, or another
        /// outcome is recorded.
        async fn complete_key(
            &self,
            request: tonic::Request<super::CompleteKeyRequest>,
        ) -> std::result::Result<
            tonic::Response<super::CompleteKeyResponse>,
            tonic::Status,
        >;
        /// Tells how the key stands in its latest window. Fails with IDEMPOTENCY_404_NOT_FOUND.
        async fn get_key(
            &self,
            request: tonic::Request<super::GetKeyRequest>,
        ) -> std::result::Result<tonic::Response<super::GetKeyResponse>, tonic::Status>;
    }
    /// The idempotency ledger, for the intents of other services.
    ///
    /// A caller reserves a key, does its work and completes the key with an outcome that every later caller is given. The
    /// reservation is a lease: when it runs out, the next caller with the same request takes over with a higher token and is
    /// told that the outcome of the earlier one is unknown, so that it looks before it acts. A CompleteKey with a token that is
    /// no longer the current one is refused.
    ///
    /// Scope of a key: (tenant, project, intent, actor, key). The window opens at the first use and lasts 24 h by default.
    ///
    /// Beside the reasons that a method names, any call can fail with AUTH_401\_*, AUTH_403_ROLE, AUTH_403_SCOPE where the token
    /// is not for the tenant, project or intent, REQ_400\_*, REQ_408_DEADLINE, INFRA_503_DEPENDENCY_DOWN, INFRA_503_DRAINING
    /// and INTERNAL_500_UNEXPECTED.
    #[derive(Debug)]
    pub struct IdempotencyServiceServer<T> {
        inner: Arc<T>,
        accept_compression_encodings: EnabledCompressionEncodings,
        send_compression_encodings: EnabledCompressionEncodings,
        max_decoding_message_size: Option<usize>,
        max_encoding_message_size: Option<usize>,
    }
    impl<T> IdempotencyServiceServer<T> {
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
    impl<T, B> tonic::codegen::Service<http::Request<B>> for IdempotencyServiceServer<T>
    where
        T: IdempotencyService,
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
                "/holdfast.jobs.v1.IdempotencyService/ReserveKey" => {
                    #[allow(non_camel_case_types)]
                    struct ReserveKeySvc<T: IdempotencyService>(pub Arc<T>);
                    impl<
                        T: IdempotencyService,
                    > tonic::server::UnaryService<super::ReserveKeyRequest>
                    for ReserveKeySvc<T> {
                        type Response = super::ReserveKeyResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::ReserveKeyRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as IdempotencyService>::reserve_key(&inner, request)
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
                        let method = ReserveKeySvc(inner);
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
                "/holdfast.jobs.v1.IdempotencyService/CompleteKey" => {
                    #[allow(non_camel_case_types)]
                    struct CompleteKeySvc<T: IdempotencyService>(pub Arc<T>);
                    impl<
                        T: IdempotencyService,
                    > tonic::server::UnaryService<super::CompleteKeyRequest>
                    for CompleteKeySvc<T> {
                        type Response = super::CompleteKeyResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::CompleteKeyRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as IdempotencyService>::complete_key(&inner, request)
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
                        let method = CompleteKeySvc(inner);
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
                "/holdfast.jobs.v1.IdempotencyService/GetKey" => {
                    #[allow(non_camel_case_types)]
                    struct GetKeySvc<T: IdempotencyService>(pub Arc<T>);
                    impl<
                        T: IdempotencyService,
                    > tonic::server::UnaryService<super::GetKeyRequest>
                    for GetKeySvc<T> {
                        type Response = super::GetKeyResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::GetKeyRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as IdempotencyService>::get_key(&inner, request).await
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
                        let method = GetKeySvc(inner);
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
    impl<T> Clone for IdempotencyServiceServer<T> {
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
    pub const SERVICE_NAME: &str = "holdfast.jobs.v1.IdempotencyService";
    impl<T> tonic::server::NamedService for IdempotencyServiceServer<T> {
        const NAME: &'static str = SERVICE_NAME;
    }
}
/// Bytes kept verbatim: what is read is what was written, to the byte.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
#[prost(skip_debug)]
pub struct Payload {
    /// At most 960 KiB; where the content type says JSON, well-formed and at most 10 levels deep.
    #[prost(bytes = "bytes", tag = "1")]
    pub data: ::prost::bytes::Bytes,
    /// An RFC 9110 media type, at most 128 characters; "application/json" when empty.
    #[prost(string, tag = "2")]
    pub content_type: ::prost::alloc::string::String,
}
/// Limits that a submission may tighten, never widen, beyond those of its intent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Constraints {
    /// Time under lease over all attempts, 1 s to 7 days; the intent's when absent.
    #[prost(message, optional, tag = "1")]
    pub run_budget: ::core::option::Option<::prost_types::Duration>,
    /// Attempts in all, 1 to 1,000; 0 takes the intent's.
    #[prost(int32, tag = "2")]
    pub max_attempts: i32,
}
/// A job that has to end before another one may run.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Dependency {
    #[prost(enumeration = "OnFailure", tag = "3")]
    pub on_failure: i32,
    #[prost(oneof = "dependency::On", tags = "1, 2")]
    pub on: ::core::option::Option<dependency::On>,
}
/// Nested message and enum types in `Dependency`.
pub mod dependency {
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Oneof)]
    pub enum On {
        /// A job of the same tenant, in any project of the caller.
        #[prost(string, tag = "1")]
        JobId(::prost::alloc::string::String),
        /// In a batch: an item of it, by its position from 0.
        #[prost(int32, tag = "2")]
        BatchItem(i32),
    }
}
/// Why an attempt ended without a result.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Failure {
    /// Lower-case letters, digits and underscores, at most 64; "lease_lost" where the worker was not heard of again.
    #[prost(string, tag = "1")]
    pub code: ::prost::alloc::string::String,
    /// At most 1,024 characters. Goes into events, but of a sensitive job: no secrets.
    #[prost(string, tag = "2")]
    pub message: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "3")]
    pub occurred_at: ::core::option::Option<::prost_types::Timestamp>,
}
/// What the holder of the lease last said of its work.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Progress {
    /// 0 to 100.
    #[prost(int32, tag = "1")]
    pub percent: i32,
    /// At most 256 characters.
    #[prost(string, tag = "2")]
    pub note: ::prost::alloc::string::String,
}
/// How long a job has waited for a worker.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct QueueClock {
    /// Over all of the job's stays in the queue, in milliseconds; counted every few seconds. It stands still while the job waits for
    /// anything else: its run_after or a back-off, its turn behind others of its project, room under the project's limit of running
    /// jobs, people, or what blocks it.
    #[prost(int64, tag = "1")]
    pub waited_ms: i64,
    /// What it may come to, by the terms of today: the intent's, or by tier A 60 s, B 120 s, C 180 s. More is told by the event
    /// job.queue_overdue, once; and ends the job where its intent says so (IntentPolicy.on_queue_timeout).
    #[prost(message, optional, tag = "2")]
    pub budget: ::core::option::Option<::prost_types::Duration>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Job {
    /// A UUIDv7, made by the service.
    #[prost(string, tag = "1")]
    pub job_id: ::prost::alloc::string::String,
    /// Names, as in SubmitJobRequest.
    #[prost(string, tag = "2")]
    pub tenant_id: ::prost::alloc::string::String,
    #[prost(string, tag = "3")]
    pub project_id: ::prost::alloc::string::String,
    #[prost(string, tag = "4")]
    pub intent: ::prost::alloc::string::String,
    #[prost(enumeration = "Queue", tag = "5")]
    pub queue: i32,
    #[prost(enumeration = "RiskTier", tag = "6")]
    pub tier: i32,
    /// 0 (default) to 9 (first). Orders jobs within one project.
    #[prost(int32, tag = "7")]
    pub priority: i32,
    #[prost(enumeration = "JobState", tag = "8")]
    pub state: i32,
    /// The principal that submitted it.
    #[prost(string, tag = "9")]
    pub actor_id: ::prost::alloc::string::String,
    /// The key it was submitted under.
    #[prost(string, tag = "10")]
    pub idempotency_key: ::prost::alloc::string::String,
    /// Absent in lists, as result is.
    #[prost(message, optional, tag = "11")]
    pub payload: ::core::option::Option<Payload>,
    /// Present in state DONE.
    #[prost(message, optional, tag = "12")]
    pub result: ::core::option::Option<Payload>,
    /// In force, the intent's terms included.
    #[prost(message, optional, tag = "13")]
    pub constraints: ::core::option::Option<Constraints>,
    /// The job that this one does anew (ResubmitJob); empty for others.
    #[prost(string, tag = "14")]
    pub resubmits: ::prost::alloc::string::String,
    /// The job on whose behalf it is done; empty for others.
    #[prost(string, tag = "15")]
    pub parent_job_id: ::prost::alloc::string::String,
    /// How many parents are above it, 0 to 3.
    #[prost(int32, tag = "16")]
    pub depth: i32,
    /// As submitted, in the order of their ids.
    #[prost(message, repeated, tag = "17")]
    pub dependencies: ::prost::alloc::vec::Vec<Dependency>,
    /// Present in state BLOCKED: those of the dependencies that it still waits for.
    #[prost(string, repeated, tag = "18")]
    pub blocked_by: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// Present in state BLOCKED: what else holds it, "kill_switch:global", "kill_switch:project:NAME", "kill_switch:agent:NAME",
    /// "kill_switch:intent:NAME", or "policy": policy is away.
    #[prost(string, repeated, tag = "19")]
    pub held_by: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// Attempts begun, the running one included.
    #[prost(int32, tag = "20")]
    pub attempt: i32,
    #[prost(int32, tag = "21")]
    pub max_attempts: i32,
    /// The latest failed attempt.
    #[prost(message, optional, tag = "22")]
    pub last_failure: ::core::option::Option<Failure>,
    /// Present in state RUNNING, once reported.
    #[prost(message, optional, tag = "23")]
    pub progress: ::core::option::Option<Progress>,
    /// Present in state TIMED_OUT: "run", the run budget; "human", the time for a decision; "total", both with the
    /// back-offs; "age", the maximum age; "queue", the time for a worker to take it.
    #[prost(string, tag = "24")]
    pub timed_out_clock: ::prost::alloc::string::String,
    /// Present in state RUNNING.
    #[prost(string, tag = "25")]
    pub worker_id: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "26")]
    pub lease_expires_at: ::core::option::Option<::prost_types::Timestamp>,
    /// Time under lease of the attempts that have ended, in milliseconds.
    #[prost(int64, tag = "27")]
    pub run_ms: i64,
    /// Present in GetJob, in states QUEUED and RETRYING.
    #[prost(message, optional, tag = "28")]
    pub queue_clock: ::core::option::Option<QueueClock>,
    #[prost(message, optional, tag = "30")]
    pub created_at: ::core::option::Option<::prost_types::Timestamp>,
    /// Absent where the job may run at once.
    #[prost(message, optional, tag = "31")]
    pub run_after: ::core::option::Option<::prost_types::Timestamp>,
    /// Start of the latest attempt.
    #[prost(message, optional, tag = "32")]
    pub started_at: ::core::option::Option<::prost_types::Timestamp>,
    #[prost(message, optional, tag = "33")]
    pub finished_at: ::core::option::Option<::prost_types::Timestamp>,
    /// Present in state RETRYING: the end of the back-off.
    #[prost(message, optional, tag = "34")]
    pub next_attempt_at: ::core::option::Option<::prost_types::Timestamp>,
    /// Present in states WAITING_HUMAN_DECISION, CHANGES_REQUESTED and DEFERRED: when the job times out.
    #[prost(message, optional, tag = "35")]
    pub decide_by: ::core::option::Option<::prost_types::Timestamp>,
    /// The number of the latest transition; ListJobEvents has as many entries.
    #[prost(int64, tag = "40")]
    pub seq: i64,
    /// Of the submission; the trace id in 32 hexadecimal digits.
    #[prost(string, tag = "41")]
    pub request_id: ::prost::alloc::string::String,
    #[prost(string, tag = "42")]
    pub trace_id: ::prost::alloc::string::String,
    /// In force: what was asked for, what the parent has and what configuration says.
    #[prost(enumeration = "Classification", tag = "43")]
    pub classification: i32,
    #[prost(enumeration = "Residency", tag = "44")]
    pub residency: i32,
    /// Present in state BUDGET_EXCEEDED: "job", "user", "project" or "tenant", a dot, and "tokens" or "cost".
    #[prost(string, tag = "50")]
    pub exceeded_budget: ::prost::alloc::string::String,
}
/// One transition of a job, as recorded. Entries are never changed.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct JobEvent {
    #[prost(string, tag = "1")]
    pub job_id: ::prost::alloc::string::String,
    /// 1 for the submission, then without gaps.
    #[prost(int64, tag = "2")]
    pub seq: i64,
    /// UNSPECIFIED for the submission.
    #[prost(enumeration = "JobState", tag = "3")]
    pub from_state: i32,
    #[prost(enumeration = "JobState", tag = "4")]
    pub to_state: i32,
    /// After the transition, as is the fencing token; 0 until the job is first leased.
    #[prost(int32, tag = "5")]
    pub attempt: i32,
    #[prost(uint64, tag = "6")]
    pub fencing_token: u64,
    /// Who caused it: a principal, or "system:<task>".
    #[prost(string, tag = "7")]
    pub actor_id: ::prost::alloc::string::String,
    /// Who took the lease or answered under it; empty for any other transition.
    #[prost(string, tag = "8")]
    pub worker_id: ::prost::alloc::string::String,
    /// What a person would want to know: a failure, the clock that ran out, the reason of a cancellation. What somebody wrote is
    /// "\[redacted\]" where the job is sensitive.
    #[prost(string, tag = "9")]
    pub detail: ::prost::alloc::string::String,
    /// By the database's clock.
    #[prost(message, optional, tag = "10")]
    pub occurred_at: ::core::option::Option<::prost_types::Timestamp>,
    /// Of the call that caused it, or of the submission where no call did; the trace id in 32 hexadecimal digits.
    #[prost(string, tag = "11")]
    pub request_id: ::prost::alloc::string::String,
    #[prost(string, tag = "12")]
    pub trace_id: ::prost::alloc::string::String,
    /// The id of the event on the stream, a UUIDv7.
    #[prost(string, tag = "13")]
    pub event_id: ::prost::alloc::string::String,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum JobState {
    Unspecified = 0,
    /// Waits for a worker, or for run_after.
    Queued = 1,
    /// Leased to a worker.
    Running = 2,
    /// An attempt failed or its lease was lost; waits for its back-off, then for a worker.
    Retrying = 3,
    /// Final: completed by the holder of its lease.
    Done = 4,
    /// Final: failed for good, or out of retries.
    Failed = 5,
    /// Final: a clock ran out; timed_out_clock names it.
    TimedOut = 6,
    /// Final: cancelled by a caller, with a job that it depended on, or by a kill switch.
    Cancelled = 7,
    /// Tier C: waits for a person to decide (DecideJob).
    WaitingHumanDecision = 8,
    /// Tier C: sent back; to be cancelled, and submitted anew as wished.
    ChangesRequested = 9,
    /// Tier C: put off once; waits for the follow-up decision.
    Deferred = 10,
    /// Final: a person decided against it.
    Rejected = 11,
    /// Waits for other jobs to end (blocked_by names them), or is held by a kill switch or by an outage of policy (held_by).
    Blocked = 12,
    /// Final: a budget that it draws on was exceeded; exceeded_budget names it.
    BudgetExceeded = 13,
}
impl JobState {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unspecified => "JOB_STATE_UNSPECIFIED",
            Self::Queued => "JOB_STATE_QUEUED",
            Self::Running => "JOB_STATE_RUNNING",
            Self::Retrying => "JOB_STATE_RETRYING",
            Self::Done => "JOB_STATE_DONE",
            Self::Failed => "JOB_STATE_FAILED",
            Self::TimedOut => "JOB_STATE_TIMED_OUT",
            Self::Cancelled => "JOB_STATE_CANCELLED",
            Self::WaitingHumanDecision => "JOB_STATE_WAITING_HUMAN_DECISION",
            Self::ChangesRequested => "JOB_STATE_CHANGES_REQUESTED",
            Self::Deferred => "JOB_STATE_DEFERRED",
            Self::Rejected => "JOB_STATE_REJECTED",
            Self::Blocked => "JOB_STATE_BLOCKED",
            Self::BudgetExceeded => "JOB_STATE_BUDGET_EXCEEDED",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "JOB_STATE_UNSPECIFIED" => Some(Self::Unspecified),
            "JOB_STATE_QUEUED" => Some(Self::Queued),
            "JOB_STATE_RUNNING" => Some(Self::Running),
            "JOB_STATE_RETRYING" => Some(Self::Retrying),
            "JOB_STATE_DONE" => Some(Self::Done),
            "JOB_STATE_FAILED" => Some(Self::Failed),
            "JOB_STATE_TIMED_OUT" => Some(Self::TimedOut),
            "JOB_STATE_CANCELLED" => Some(Self::Cancelled),
            "JOB_STATE_WAITING_HUMAN_DECISION" => Some(Self::WaitingHumanDecision),
            "JOB_STATE_CHANGES_REQUESTED" => Some(Self::ChangesRequested),
            "JOB_STATE_DEFERRED" => Some(Self::Deferred),
            "JOB_STATE_REJECTED" => Some(Self::Rejected),
            "JOB_STATE_BLOCKED" => Some(Self::Blocked),
            "JOB_STATE_BUDGET_EXCEEDED" => Some(Self::BudgetExceeded),
            _ => None,
        }
    }
}
/// How much harm a job can do. A runs by itself, B runs under guardrails, C waits for a human decision first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum RiskTier {
    Unspecified = 0,
    A = 1,
    B = 2,
    C = 3,
}
impl RiskTier {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unspecified => "RISK_TIER_UNSPECIFIED",
            Self::A => "RISK_TIER_A",
            Self::B => "RISK_TIER_B",
            Self::C => "RISK_TIER_C",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "RISK_TIER_UNSPECIFIED" => Some(Self::Unspecified),
            "RISK_TIER_A" => Some(Self::A),
            "RISK_TIER_B" => Some(Self::B),
            "RISK_TIER_C" => Some(Self::C),
            _ => None,
        }
    }
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum Queue {
    Unspecified = 0,
    /// The queue of the job's project.
    Project = 1,
    /// The tenant's queue for changes to infrastructure, with limits of its own.
    Infra = 2,
}
impl Queue {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unspecified => "QUEUE_UNSPECIFIED",
            Self::Project => "QUEUE_PROJECT",
            Self::Infra => "QUEUE_INFRA",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "QUEUE_UNSPECIFIED" => Some(Self::Unspecified),
            "QUEUE_PROJECT" => Some(Self::Project),
            "QUEUE_INFRA" => Some(Self::Infra),
            _ => None,
        }
    }
}
/// What harm it does where the data of a job is read by others. Ordered: each is stricter than those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum Classification {
    Unspecified = 0,
    Public = 1,
    Internal = 2,
    /// Personal data, and whatever else others must not read. Every field that is marked debug_redact is told as "\[redacted\]",
    /// or left out, in the job's events and history.
    Sensitive = 3,
}
impl Classification {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unspecified => "CLASSIFICATION_UNSPECIFIED",
            Self::Public => "CLASSIFICATION_PUBLIC",
            Self::Internal => "CLASSIFICATION_INTERNAL",
            Self::Sensitive => "CLASSIFICATION_SENSITIVE",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "CLASSIFICATION_UNSPECIFIED" => Some(Self::Unspecified),
            "CLASSIFICATION_PUBLIC" => Some(Self::Public),
            "CLASSIFICATION_INTERNAL" => Some(Self::Internal),
            "CLASSIFICATION_SENSITIVE" => Some(Self::Sensitive),
            _ => None,
        }
    }
}
/// Where the data of a job may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum Residency {
    Unspecified = 0,
    Us = 1,
    Eu = 2,
    /// Anywhere.
    Global = 3,
}
impl Residency {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unspecified => "RESIDENCY_UNSPECIFIED",
            Self::Us => "RESIDENCY_US",
            Self::Eu => "RESIDENCY_EU",
            Self::Global => "RESIDENCY_GLOBAL",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "RESIDENCY_UNSPECIFIED" => Some(Self::Unspecified),
            "RESIDENCY_US" => Some(Self::Us),
            "RESIDENCY_EU" => Some(Self::Eu),
            "RESIDENCY_GLOBAL" => Some(Self::Global),
            _ => None,
        }
    }
}
/// What becomes of a job where one that it depends on ends otherwise than done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum OnFailure {
    /// BLOCK.
    Unspecified = 0,
    /// It stays blocked. The new job of a ResubmitJob takes the failed one's place; CancelJob gives up.
    Block = 1,
    /// It is cancelled too, at once.
    Cancel = 2,
    /// It runs all the same.
    Run = 3,
}
impl OnFailure {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unspecified => "ON_FAILURE_UNSPECIFIED",
            Self::Block => "ON_FAILURE_BLOCK",
            Self::Cancel => "ON_FAILURE_CANCEL",
            Self::Run => "ON_FAILURE_RUN",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "ON_FAILURE_UNSPECIFIED" => Some(Self::Unspecified),
            "ON_FAILURE_BLOCK" => Some(Self::Block),
            "ON_FAILURE_CANCEL" => Some(Self::Cancel),
            "ON_FAILURE_RUN" => Some(Self::Run),
            _ => None,
        }
    }
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct SubmitJobRequest {
    /// 1 to 64 of a-z, 0-9, '-', '\_', '.', beginning with a letter or digit; the token's tenant when empty.
    #[prost(string, tag = "1")]
    pub tenant_id: ::prost::alloc::string::String,
    /// 1 to 64 of a-z, 0-9, '-', '\_', '.', beginning with a letter or digit.
    #[prost(string, tag = "2")]
    pub project_id: ::prost::alloc::string::String,
    /// What is to be done, "repo.digest": same alphabet, at most 128.
    #[prost(string, tag = "3")]
    pub intent: ::prost::alloc::string::String,
    /// Required.
    #[prost(enumeration = "Queue", tag = "4")]
    pub queue: i32,
    /// Required. A job of tier C waits for a decision before it is queued.
    #[prost(enumeration = "RiskTier", tag = "5")]
    pub tier: i32,
    /// 0 (default) to 9 (first). Orders jobs within one project.
    #[prost(int32, tag = "6")]
    pub priority: i32,
    /// Not leased before this time; at most 7 days ahead, kept to the microsecond. At once when absent.
    #[prost(message, optional, tag = "7")]
    pub run_after: ::core::option::Option<::prost_types::Timestamp>,
    /// The intent's when absent.
    #[prost(message, optional, tag = "8")]
    pub constraints: ::core::option::Option<Constraints>,
    /// 1 to 256 printable ASCII characters without spaces. One job per (tenant, project, intent, actor, key) and window, of
    /// 24 h by default.
    #[prost(string, tag = "9")]
    pub idempotency_key: ::prost::alloc::string::String,
    /// Required.
    #[prost(message, optional, tag = "10")]
    pub payload: ::core::option::Option<Payload>,
    /// The job on whose behalf this one is done, in the same tenant; at most 3 deep (JOB_422_DELEGATION_DEPTH_EXCEEDED). The
    /// tier is the higher of both, and C where the parent is in another project; the trace is the parent's.
    #[prost(string, tag = "11")]
    pub parent_job_id: ::prost::alloc::string::String,
    /// Jobs that have to end before this one may run; at most 100, each named once. It is BLOCKED until then, and cannot name
    /// one on whose behalf it is done (JOB_422_DEPENDENCY_CYCLE).
    #[prost(message, repeated, tag = "12")]
    pub dependencies: ::prost::alloc::vec::Vec<Dependency>,
    /// How sensitive the payload, the result and all that is said of the job are. The parent's where UNSPECIFIED, and never less
    /// than that; without a parent what the deployment is configured with.
    #[prost(enumeration = "Classification", tag = "13")]
    pub classification: i32,
    /// Where they may be kept. Where UNSPECIFIED the parent's, the one that the tenant is configured with, or the deployment's
    /// region. POLICY_403_DENIED where the deployment may not hold it, or where it is not that of the tenant or the parent.
    #[prost(enumeration = "Residency", tag = "14")]
    pub residency: i32,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct SubmitJobResponse {
    /// A UUIDv7, made by the service.
    #[prost(string, tag = "1")]
    pub job_id: ::prost::alloc::string::String,
    /// The state at the time of the answer.
    #[prost(enumeration = "JobState", tag = "2")]
    pub state: i32,
    /// True where this key had queued the job before.
    #[prost(bool, tag = "3")]
    pub replayed: bool,
    /// When the key may be used anew.
    #[prost(message, optional, tag = "4")]
    pub window_end: ::core::option::Option<::prost_types::Timestamp>,
    /// How many windows this key has begun; 1 for the first.
    #[prost(int64, tag = "5")]
    pub generation: i64,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct BatchSubmitJobsRequest {
    /// 1 to 1,000; the whole request at most 1 MiB.
    #[prost(message, repeated, tag = "1")]
    pub jobs: ::prost::alloc::vec::Vec<SubmitJobRequest>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct BatchSubmitJobsResponse {
    /// One an item, in the order sent.
    #[prost(message, repeated, tag = "1")]
    pub results: ::prost::alloc::vec::Vec<BatchSubmitJobsResult>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct BatchSubmitJobsResult {
    #[prost(oneof = "batch_submit_jobs_result::Outcome", tags = "1, 2")]
    pub outcome: ::core::option::Option<batch_submit_jobs_result::Outcome>,
}
/// Nested message and enum types in `BatchSubmitJobsResult`.
pub mod batch_submit_jobs_result {
    #[derive(Clone, PartialEq, ::prost::Oneof)]
    pub enum Outcome {
        #[prost(message, tag = "1")]
        Job(super::SubmitJobResponse),
        /// With the same details as a failed SubmitJob.
        #[prost(message, tag = "2")]
        Error(::tonic_types::Status),
    }
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct GetJobRequest {
    /// A UUIDv7.
    #[prost(string, tag = "1")]
    pub job_id: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct GetJobResponse {
    #[prost(message, optional, tag = "1")]
    pub job: ::core::option::Option<Job>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ListJobsRequest {
    /// As in SubmitJobRequest.
    #[prost(string, tag = "1")]
    pub tenant_id: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub project_id: ::prost::alloc::string::String,
    /// Any of these, at most 1,000; all where empty.
    #[prost(enumeration = "JobState", repeated, tag = "3")]
    pub states: ::prost::alloc::vec::Vec<i32>,
    /// Only this intent; all where empty.
    #[prost(string, tag = "4")]
    pub intent: ::prost::alloc::string::String,
    /// 1 to 1,000; 50 where 0. A page holds fewer where they would be more than 3 MiB.
    #[prost(int32, tag = "5")]
    pub page_size: i32,
    /// next_page_token of the page before, with the same filters.
    #[prost(string, tag = "6")]
    pub page_token: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ListJobsResponse {
    #[prost(message, repeated, tag = "1")]
    pub jobs: ::prost::alloc::vec::Vec<Job>,
    /// Empty on the last page.
    #[prost(string, tag = "2")]
    pub next_page_token: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct CancelJobRequest {
    /// A UUIDv7.
    #[prost(string, tag = "1")]
    pub job_id: ::prost::alloc::string::String,
    /// Kept in the history, at most 512 characters; goes into events: no secrets. May be empty. Of a sensitive job it is not kept.
    #[prost(string, tag = "2")]
    pub reason: ::prost::alloc::string::String,
    /// 1 to 256 printable ASCII characters without spaces. A repeated call with the same key and reason is answered the
    /// same; any other finds JOB_409_ALREADY_TERMINAL.
    #[prost(string, tag = "3")]
    pub idempotency_key: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct CancelJobResponse {
    #[prost(message, optional, tag = "1")]
    pub job: ::core::option::Option<Job>,
    /// True where this key had cancelled the job before.
    #[prost(bool, tag = "2")]
    pub replayed: bool,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ListJobEventsRequest {
    /// A UUIDv7.
    #[prost(string, tag = "1")]
    pub job_id: ::prost::alloc::string::String,
    /// 1 to 1,000; 100 where 0. A page holds fewer where they would be more than 3 MiB.
    #[prost(int32, tag = "2")]
    pub page_size: i32,
    /// next_page_token of the page before, of the same job.
    #[prost(string, tag = "3")]
    pub page_token: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ListJobEventsResponse {
    #[prost(message, repeated, tag = "1")]
    pub events: ::prost::alloc::vec::Vec<JobEvent>,
    /// Empty on the last page.
    #[prost(string, tag = "2")]
    pub next_page_token: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct DecideJobRequest {
    #[prost(string, tag = "1")]
    pub job_id: ::prost::alloc::string::String,
    #[prost(enumeration = "Decision", tag = "2")]
    pub decision: i32,
    /// Kept in the record and the history, at most 1,024 characters; of a sensitive job in the record alone. Required unless the
    /// decision is APPROVE.
    #[prost(string, tag = "3")]
    pub reason: ::prost::alloc::string::String,
    /// The approval_id of the job's latest decision, where this one corrects it. The same decision again corrects its reason
    /// at any time. An approval can be corrected to another decision until the job first runs.
    #[prost(string, tag = "4")]
    pub corrects: ::prost::alloc::string::String,
    /// A repeated call with the same key is answered the same; with another content it is JOB_409_IDEMPOTENCY_CONFLICT.
    #[prost(string, tag = "5")]
    pub idempotency_key: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct DecideJobResponse {
    #[prost(message, optional, tag = "1")]
    pub job: ::core::option::Option<Job>,
    #[prost(message, optional, tag = "2")]
    pub approval: ::core::option::Option<Approval>,
    #[prost(bool, tag = "3")]
    pub replayed: bool,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ListApprovalsRequest {
    #[prost(string, tag = "1")]
    pub job_id: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ListApprovalsResponse {
    /// Some 100 at most.
    #[prost(message, repeated, tag = "1")]
    pub approvals: ::prost::alloc::vec::Vec<Approval>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ResubmitJobRequest {
    /// A job in a final state.
    #[prost(string, tag = "1")]
    pub job_id: ::prost::alloc::string::String,
    /// Of the new job; the window of the old one's key does not matter.
    #[prost(string, tag = "2")]
    pub idempotency_key: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ResubmitJobResponse {
    #[prost(message, optional, tag = "1")]
    pub job: ::core::option::Option<SubmitJobResponse>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct WatchJobsRequest {
    /// resume_token of the last message of an earlier watch of the same scope; from now on when empty. The filters may differ.
    #[prost(string, tag = "3")]
    pub resume_token: ::prost::alloc::string::String,
    /// Begins with the first transition; of a job only, ignored with a resume token.
    #[prost(bool, tag = "4")]
    pub from_start: bool,
    /// Only transitions into any of these, at most 1,000; all where empty.
    #[prost(enumeration = "JobState", repeated, tag = "5")]
    pub states: ::prost::alloc::vec::Vec<i32>,
    /// Only jobs of this intent; all where empty.
    #[prost(string, tag = "6")]
    pub intent: ::prost::alloc::string::String,
    /// Ends once everything has come that was committed when it was asked for, instead of waiting for more.
    #[prost(bool, tag = "7")]
    pub catch_up_only: bool,
    /// What is watched.
    #[prost(oneof = "watch_jobs_request::Scope", tags = "1, 2")]
    pub scope: ::core::option::Option<watch_jobs_request::Scope>,
}
/// Nested message and enum types in `WatchJobsRequest`.
pub mod watch_jobs_request {
    /// What is watched.
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Oneof)]
    pub enum Scope {
        /// One job. Its resume tokens do not expire: its history is kept for longer than events are.
        #[prost(string, tag = "1")]
        JobId(::prost::alloc::string::String),
        /// All jobs of a project.
        #[prost(message, tag = "2")]
        Project(super::WatchedProject),
    }
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct WatchedProject {
    /// As in SubmitJobRequest.
    #[prost(string, tag = "1")]
    pub tenant_id: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub project_id: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct WatchJobsResponse {
    /// At most 256; none where the message only renews the resume token: the first one may, and so does one every 15 s in which
    /// nothing happens.
    #[prost(message, repeated, tag = "1")]
    pub events: ::prost::alloc::vec::Vec<JobEvent>,
    /// Stands behind the events of this message. Opaque, less than 1 KiB.
    #[prost(string, tag = "2")]
    pub resume_token: ::prost::alloc::string::String,
}
/// Generated client implementations.
pub mod job_service_client {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value,
    )]
    use tonic::codegen::*;
    use tonic::codegen::http::Uri;
    /// Submits jobs and tells how they stand.
    ///
    /// A job is submitted under an idempotency key and waits in its project's queue until a worker leases it (WorkerService).
    /// What is answered is committed: a crash after the answer loses nothing, and a call whose answer was lost can be sent
    /// again under the same key and converges on the same job. A lease that is not renewed runs out, and the job is tried
    /// again. Every transition is one row in the job's history and one event on the stream, both in the transaction that
    /// made it.
    ///
    /// Beside the reasons that a method names, any call can fail with AUTH_401\_*, AUTH_403_ROLE, REQ_400\_*, REQ_408_DEADLINE,
    /// INFRA_503_DEPENDENCY_DOWN, INFRA_503_DRAINING and INTERNAL_500_UNEXPECTED.
    ///
    /// Metadata: authorization (required), x-request-id, traceparent. A caller whose token names one tenant may leave
    /// tenant_id empty. A job outside the caller's tenants or projects is NOT_FOUND.
    #[derive(Debug, Clone)]
    pub struct JobServiceClient<T> {
        inner: tonic::client::Grpc<T>,
    }
    impl JobServiceClient<tonic::transport::Channel> {
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
    impl<T> JobServiceClient<T>
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
        ) -> JobServiceClient<InterceptedService<T, F>>
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
            JobServiceClient::new(InterceptedService::new(inner, interceptor))
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
        /// Queues one job, or answers with the job that the same key queued before, whatever was set or used up since then.
        /// Fails with AUTH_403_SCOPE where the token is
        /// not for the tenant, project, intent or tier; JOB_409_IDEMPOTENCY_CONFLICT where the key was used for another request;
        /// JOB_503_QUEUE_UNAVAILABLE where the queue is full; JOB_404_NOT_FOUND where the parent is not there;
        /// JOB_422_DELEGATION_DEPTH_EXCEEDED where it is too deep, BUDGET_409_EXCEEDED where it ended because it exceeded a budget;
        /// JOB_404_NOT_FOUND where a dependency is not there; JOB_422_DEPENDENCY_CYCLE where it would wait for what waits for it;
        /// POLICY_403_DENIED where this deployment or the project does not allow it; BUDGET_429_LIMIT where the job would draw on an
        /// exceeded budget; RATE_429_THROTTLED; POLICY_503_ENGINE_UNAVAILABLE where
        /// policy has been away for too long. In scope of a kill switch, and while policy is away, the job is taken as BLOCKED; see
        /// Job.held_by.
        pub async fn submit_job(
            &mut self,
            request: impl tonic::IntoRequest<super::SubmitJobRequest>,
        ) -> std::result::Result<
            tonic::Response<super::SubmitJobResponse>,
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
                "/holdfast.jobs.v1.JobService/SubmitJob",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("holdfast.jobs.v1.JobService", "SubmitJob"));
            self.inner.unary(req, path, codec).await
        }
        /// Queues up to 1,000 jobs; each item succeeds or fails by itself, in the order sent, with the reasons of SubmitJob. Items
        /// may depend on each other, in any order: one whose dependency was not taken fails with the same reason, one on a
        /// circle, or behind it, with JOB_422_DEPENDENCY_CYCLE. A call that was cut off goes on where it was, sent again under
        /// the same keys. The call as a whole fails with REQ_400\_\* where it holds no item, too many, or more than 1 MiB.
        pub async fn batch_submit_jobs(
            &mut self,
            request: impl tonic::IntoRequest<super::BatchSubmitJobsRequest>,
        ) -> std::result::Result<
            tonic::Response<super::BatchSubmitJobsResponse>,
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
                "/holdfast.jobs.v1.JobService/BatchSubmitJobs",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(
                    GrpcMethod::new("holdfast.jobs.v1.JobService", "BatchSubmitJobs"),
                );
            self.inner.unary(req, path, codec).await
        }
        /// Answers one job, with payload and result. Fails with JOB_404_NOT_FOUND.
        pub async fn get_job(
            &mut self,
            request: impl tonic::IntoRequest<super::GetJobRequest>,
        ) -> std::result::Result<tonic::Response<super::GetJobResponse>, tonic::Status> {
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
                "/holdfast.jobs.v1.JobService/GetJob",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("holdfast.jobs.v1.JobService", "GetJob"));
            self.inner.unary(req, path, codec).await
        }
        /// Lists the jobs of a project, newest first, without payloads and results; where a replica serves lists, a job that was
        /// submitted just now may be missing. Fails with AUTH_403_SCOPE where the token is not for the tenant or project;
        /// REQ_400_INVALID_SCHEMA where the page token is from another listing.
        pub async fn list_jobs(
            &mut self,
            request: impl tonic::IntoRequest<super::ListJobsRequest>,
        ) -> std::result::Result<
            tonic::Response<super::ListJobsResponse>,
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
                "/holdfast.jobs.v1.JobService/ListJobs",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("holdfast.jobs.v1.JobService", "ListJobs"));
            self.inner.unary(req, path, codec).await
        }
        /// Ends a blocked, queued, retrying or running job, or one whose changes were requested. A running one's lease is void at once
        /// and its worker is told. Fails with JOB_404_NOT_FOUND; JOB_409_ALREADY_TERMINAL where the job has ended, but not by
        /// this very call; JOB_422_NOT_CANCELLABLE where it waits for a decision: reject it instead.
        pub async fn cancel_job(
            &mut self,
            request: impl tonic::IntoRequest<super::CancelJobRequest>,
        ) -> std::result::Result<
            tonic::Response<super::CancelJobResponse>,
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
                "/holdfast.jobs.v1.JobService/CancelJob",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("holdfast.jobs.v1.JobService", "CancelJob"));
            self.inner.unary(req, path, codec).await
        }
        /// Lists the transitions of a job, oldest first. Fails with JOB_404_NOT_FOUND; REQ_400_INVALID_SCHEMA where the page
        /// token is from another listing.
        pub async fn list_job_events(
            &mut self,
            request: impl tonic::IntoRequest<super::ListJobEventsRequest>,
        ) -> std::result::Result<
            tonic::Response<super::ListJobEventsResponse>,
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
                "/holdfast.jobs.v1.JobService/ListJobEvents",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("holdfast.jobs.v1.JobService", "ListJobEvents"));
            self.inner.unary(req, path, codec).await
        }
        /// Records a person's decision about a job of tier C, and moves the job by it. Open to owners; to infra-approvers too
        /// where the job is in the infra queue or the deployment is production. Fails with APPROVAL_403_NOT_APPROVER for others;
        /// APPROVAL_409_DECISION_CONFLICT where another decision stands (an equal one is recorded beside it and moves nothing);
        /// REQ_422_INVALID_STATE where the job never waited, was put off before, or can no longer be corrected;
        /// JOB_409_ALREADY_TERMINAL where its time was over; JOB_404_NOT_FOUND.
        pub async fn decide_job(
            &mut self,
            request: impl tonic::IntoRequest<super::DecideJobRequest>,
        ) -> std::result::Result<
            tonic::Response<super::DecideJobResponse>,
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
                "/holdfast.jobs.v1.JobService/DecideJob",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("holdfast.jobs.v1.JobService", "DecideJob"));
            self.inner.unary(req, path, codec).await
        }
        /// Lists the decisions about a job, oldest first. Fails with JOB_404_NOT_FOUND.
        pub async fn list_approvals(
            &mut self,
            request: impl tonic::IntoRequest<super::ListApprovalsRequest>,
        ) -> std::result::Result<
            tonic::Response<super::ListApprovalsResponse>,
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
                "/holdfast.jobs.v1.JobService/ListApprovals",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("holdfast.jobs.v1.JobService", "ListApprovals"));
            self.inner.unary(req, path, codec).await
        }
        /// Submits a job that has ended once more, as a new job of the caller under a new key, with the same payload, parent and
        /// terms. It waits for those of the old one's dependencies that have not ended. Jobs that a failed one blocks wait for the
        /// new one from then on.
        /// Fails with JOB_404_NOT_FOUND; REQ_422_INVALID_STATE where the job has not ended; and with the reasons of SubmitJob.
        pub async fn resubmit_job(
            &mut self,
            request: impl tonic::IntoRequest<super::ResubmitJobRequest>,
        ) -> std::result::Result<
            tonic::Response<super::ResubmitJobResponse>,
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
                "/holdfast.jobs.v1.JobService/ResubmitJob",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("holdfast.jobs.v1.JobService", "ResubmitJob"));
            self.inner.unary(req, path, codec).await
        }
        /// Follows the transitions of a project's jobs, or of one job, as they happen. Every transition that was committed after
        /// the resume token was given comes at least once, those of a job in the order of their seq. One that came shortly before
        /// a break may come again, under the same event_id, and so may older ones of a project where Redis has lost its streams:
        /// whoever has seen a higher seq of the job has seen them. A watch ends with INFRA_503_DRAINING where the instance stops, with
        /// AUTH_401_INVALID_TOKEN where the bearer token expires, with REQ_408_SLOW_CONSUMER where the caller takes nothing for a
        /// minute, and by itself behind the last transition of its job: watch again from the last resume_token, on any instance.
        /// Fails with JOB_404_NOT_FOUND; AUTH_403_SCOPE where the token is not for the tenant or project; REQ_400_INVALID_SCHEMA
        /// where the resume token is of another watch; REQ_416_TOKEN_EXPIRED where it is older than events are kept (72 h);
        /// RATE_429_THROTTLED where the instance has as many watches as it may; INFRA_503_DEPENDENCY_DOWN, component `relay`, where too
        /// many events wait for the relay to look through them.
        pub async fn watch_jobs(
            &mut self,
            request: impl tonic::IntoRequest<super::WatchJobsRequest>,
        ) -> std::result::Result<
            tonic::Response<tonic::codec::Streaming<super::WatchJobsResponse>>,
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
                "/holdfast.jobs.v1.JobService/WatchJobs",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("holdfast.jobs.v1.JobService", "WatchJobs"));
            self.inner.server_streaming(req, path, codec).await
        }
    }
}
/// Generated server implementations.
pub mod job_service_server {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value,
    )]
    use tonic::codegen::*;
    /// Generated trait containing gRPC methods that should be implemented for use with JobServiceServer.
    #[async_trait]
    pub trait JobService: std::marker::Send + std::marker::Sync + 'static {
        /// Queues one job, or answers with the job that the same key queued before, whatever was set or used up since then.
        /// Fails with AUTH_403_SCOPE where the token is
        /// not for the tenant, project, intent or tier; JOB_409_IDEMPOTENCY_CONFLICT where the key was used for another request;
        /// JOB_503_QUEUE_UNAVAILABLE where the queue is full; JOB_404_NOT_FOUND where the parent is not there;
        /// JOB_422_DELEGATION_DEPTH_EXCEEDED where it is too deep, BUDGET_409_EXCEEDED where it ended because it exceeded a budget;
        /// JOB_404_NOT_FOUND where a dependency is not there; JOB_422_DEPENDENCY_CYCLE where it would wait for what waits for it;
        /// POLICY_403_DENIED where this deployment or the project does not allow it; BUDGET_429_LIMIT where the job would draw on an
        /// exceeded budget; RATE_429_THROTTLED; POLICY_503_ENGINE_UNAVAILABLE where
        /// policy has been away for too long. In scope of a kill switch, and while policy is away, the job is taken as BLOCKED; see
        /// Job.held_by.
        async fn submit_job(
            &self,
            request: tonic::Request<super::SubmitJobRequest>,
        ) -> std::result::Result<
            tonic::Response<super::SubmitJobResponse>,
            tonic::Status,
        >;
        /// Queues up to 1,000 jobs; each item succeeds or fails by itself, in the order sent, with the reasons of SubmitJob. Items
        /// may depend on each other, in any order: one whose dependency was not taken fails with the same reason, one on a
        /// circle, or behind it, with JOB_422_DEPENDENCY_CYCLE. A call that was cut off goes on where it was, sent again under
        /// the same keys. The call as a whole fails with REQ_400\_\* where it holds no item, too many, or more than 1 MiB.
        async fn batch_submit_jobs(
            &self,
            request: tonic::Request<super::BatchSubmitJobsRequest>,
        ) -> std::result::Result<
            tonic::Response<super::BatchSubmitJobsResponse>,
            tonic::Status,
        >;
        /// Answers one job, with payload and result. Fails with JOB_404_NOT_FOUND.
        async fn get_job(
            &self,
            request: tonic::Request<super::GetJobRequest>,
        ) -> std::result::Result<tonic::Response<super::GetJobResponse>, tonic::Status>;
        /// Lists the jobs of a project, newest first, without payloads and results; where a replica serves lists, a job that was
        /// submitted just now may be missing. Fails with AUTH_403_SCOPE where the token is not for the tenant or project;
        /// REQ_400_INVALID_SCHEMA where the page token is from another listing.
        async fn list_jobs(
            &self,
            request: tonic::Request<super::ListJobsRequest>,
        ) -> std::result::Result<
            tonic::Response<super::ListJobsResponse>,
            tonic::Status,
        >;
        /// Ends a blocked, queued, retrying or running job, or one whose changes were requested. A running one's lease is void at once
        /// and its worker is told. Fails with JOB_404_NOT_FOUND; JOB_409_ALREADY_TERMINAL where the job has ended, but not by
        /// this very call; JOB_422_NOT_CANCELLABLE where it waits for a decision: reject it instead.
        async fn cancel_job(
            &self,
            request: tonic::Request<super::CancelJobRequest>,
        ) -> std::result::Result<
            tonic::Response<super::CancelJobResponse>,
            tonic::Status,
        >;
        /// Lists the transitions of a job, oldest first. Fails with JOB_404_NOT_FOUND; REQ_400_INVALID_SCHEMA where the page
        /// token is from another listing.
        async fn list_job_events(
            &self,
            request: tonic::Request<super::ListJobEventsRequest>,
        ) -> std::result::Result<
            tonic::Response<super::ListJobEventsResponse>,
            tonic::Status,
        >;
        /// Records a person's decision about a job of tier C, and moves the job by it. Open to owners; to infra-approvers too
        /// where the job is in the infra queue or the deployment is production. Fails with APPROVAL_403_NOT_APPROVER for others;
        /// APPROVAL_409_DECISION_CONFLICT where another decision stands (an equal one is recorded beside it and moves nothing);
        /// REQ_422_INVALID_STATE where the job never waited, was put off before, or can no longer be corrected;
        /// JOB_409_ALREADY_TERMINAL where its time was over; JOB_404_NOT_FOUND.
        async fn decide_job(
            &self,
            request: tonic::Request<super::DecideJobRequest>,
        ) -> std::result::Result<
            tonic::Response<super::DecideJobResponse>,
            tonic::Status,
        >;
        /// Lists the decisions about a job, oldest first. Fails with JOB_404_NOT_FOUND.
        async fn list_approvals(
            &self,
            request: tonic::Request<super::ListApprovalsRequest>,
        ) -> std::result::Result<
            tonic::Response<super::ListApprovalsResponse>,
            tonic::Status,
        >;
        /// Submits a job that has ended once more, as a new job of the caller under a new key, with the same payload, parent and
        /// terms. It waits for those of the old one's dependencies that have not ended. Jobs that a failed one blocks wait for the
        /// new one from then on.
        /// Fails with JOB_404_NOT_FOUND; REQ_422_INVALID_STATE where the job has not ended; and with the reasons of SubmitJob.
        async fn resubmit_job(
            &self,
            request: tonic::Request<super::ResubmitJobRequest>,
        ) -> std::result::Result<
            tonic::Response<super::ResubmitJobResponse>,
            tonic::Status,
        >;
        /// Server streaming response type for the WatchJobs method.
        type WatchJobsStream: tonic::codegen::tokio_stream::Stream<
                Item = std::result::Result<super::WatchJobsResponse, tonic::Status>,
            >
            + std::marker::Send
            + 'static;
        /// Follows the transitions of a project's jobs, or of one job, as they happen. Every transition that was committed after
        /// the resume token was given comes at least once, those of a job in the order of their seq. One that came shortly before
        /// a break may come again, under the same event_id, and so may older ones of a project where Redis has lost its streams:
        /// whoever has seen a higher seq of the job has seen them. A watch ends with INFRA_503_DRAINING where the instance stops, with
        /// AUTH_401_INVALID_TOKEN where the bearer token expires, with REQ_408_SLOW_CONSUMER where the caller takes nothing for a
        /// minute, and by itself behind the last transition of its job: watch again from the last resume_token, on any instance.
        /// Fails with JOB_404_NOT_FOUND; AUTH_403_SCOPE where the token is not for the tenant or project; REQ_400_INVALID_SCHEMA
        /// where the resume token is of another watch; REQ_416_TOKEN_EXPIRED where it is older than events are kept (72 h);
        /// RATE_429_THROTTLED where the instance has as many watches as it may; INFRA_503_DEPENDENCY_DOWN, component `relay`, where too
        /// many events wait for the relay to look through them.
        async fn watch_jobs(
            &self,
            request: tonic::Request<super::WatchJobsRequest>,
        ) -> std::result::Result<tonic::Response<Self::WatchJobsStream>, tonic::Status>;
    }
    /// Submits jobs and tells how they stand.
    ///
    /// A job is submitted under an idempotency key and waits in its project's queue until a worker leases it (WorkerService).
    /// What is answered is committed: a crash after the answer loses nothing, and a call whose answer was lost can be sent
    /// again under the same key and converges on the same job. A lease that is not renewed runs out, and the job is tried
    /// again. Every transition is one row in the job's history and one event on the stream, both in the transaction that
    /// made it.
    ///
    /// Beside the reasons that a method names, any call can fail with AUTH_401\_*, AUTH_403_ROLE, REQ_400\_*, REQ_408_DEADLINE,
    /// INFRA_503_DEPENDENCY_DOWN, INFRA_503_DRAINING and INTERNAL_500_UNEXPECTED.
    ///
    /// Metadata: authorization (required), x-request-id, traceparent. A caller whose token names one tenant may leave
    /// tenant_id empty. A job outside the caller's tenants or projects is NOT_FOUND.
    #[derive(Debug)]
    pub struct JobServiceServer<T> {
        inner: Arc<T>,
        accept_compression_encodings: EnabledCompressionEncodings,
        send_compression_encodings: EnabledCompressionEncodings,
        max_decoding_message_size: Option<usize>,
        max_encoding_message_size: Option<usize>,
    }
    impl<T> JobServiceServer<T> {
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
    impl<T, B> tonic::codegen::Service<http::Request<B>> for JobServiceServer<T>
    where
        T: JobService,
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
                "/holdfast.jobs.v1.JobService/SubmitJob" => {
                    #[allow(non_camel_case_types)]
                    struct SubmitJobSvc<T: JobService>(pub Arc<T>);
                    impl<
                        T: JobService,
                    > tonic::server::UnaryService<super::SubmitJobRequest>
                    for SubmitJobSvc<T> {
                        type Response = super::SubmitJobResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::SubmitJobRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as JobService>::submit_job(&inner, request).await
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
                        let method = SubmitJobSvc(inner);
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
                "/holdfast.jobs.v1.JobService/BatchSubmitJobs" => {
                    #[allow(non_camel_case_types)]
                    struct BatchSubmitJobsSvc<T: JobService>(pub Arc<T>);
                    impl<
                        T: JobService,
                    > tonic::server::UnaryService<super::BatchSubmitJobsRequest>
                    for BatchSubmitJobsSvc<T> {
                        type Response = super::BatchSubmitJobsResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::BatchSubmitJobsRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as JobService>::batch_submit_jobs(&inner, request).await
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
                        let method = BatchSubmitJobsSvc(inner);
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
                "/holdfast.jobs.v1.JobService/GetJob" => {
                    #[allow(non_camel_case_types)]
                    struct GetJobSvc<T: JobService>(pub Arc<T>);
                    impl<T: JobService> tonic::server::UnaryService<super::GetJobRequest>
                    for GetJobSvc<T> {
                        type Response = super::GetJobResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::GetJobRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as JobService>::get_job(&inner, request).await
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
                        let method = GetJobSvc(inner);
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
                "/holdfast.jobs.v1.JobService/ListJobs" => {
                    #[allow(non_camel_case_types)]
                    struct ListJobsSvc<T: JobService>(pub Arc<T>);
                    impl<
                        T: JobService,
                    > tonic::server::UnaryService<super::ListJobsRequest>
                    for ListJobsSvc<T> {
                        type Response = super::ListJobsResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::ListJobsRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as JobService>::list_jobs(&inner, request).await
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
                        let method = ListJobsSvc(inner);
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
                "/holdfast.jobs.v1.JobService/CancelJob" => {
                    #[allow(non_camel_case_types)]
                    struct CancelJobSvc<T: JobService>(pub Arc<T>);
                    impl<
                        T: JobService,
                    > tonic::server::UnaryService<super::CancelJobRequest>
                    for CancelJobSvc<T> {
                        type Response = super::CancelJobResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::CancelJobRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as JobService>::cancel_job(&inner, request).await
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
                        let method = CancelJobSvc(inner);
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
                "/holdfast.jobs.v1.JobService/ListJobEvents" => {
                    #[allow(non_camel_case_types)]
                    struct ListJobEventsSvc<T: JobService>(pub Arc<T>);
                    impl<
                        T: JobService,
                    > tonic::server::UnaryService<super::ListJobEventsRequest>
                    for ListJobEventsSvc<T> {
                        type Response = super::ListJobEventsResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::ListJobEventsRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as JobService>::list_job_events(&inner, request).await
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
                        let method = ListJobEventsSvc(inner);
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
                "/holdfast.jobs.v1.JobService/DecideJob" => {
                    #[allow(non_camel_case_types)]
                    struct DecideJobSvc<T: JobService>(pub Arc<T>);
                    impl<
                        T: JobService,
                    > tonic::server::UnaryService<super::DecideJobRequest>
                    for DecideJobSvc<T> {
                        type Response = super::DecideJobResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::DecideJobRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as JobService>::decide_job(&inner, request).await
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
                        let method = DecideJobSvc(inner);
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
                "/holdfast.jobs.v1.JobService/ListApprovals" => {
                    #[allow(non_camel_case_types)]
                    struct ListApprovalsSvc<T: JobService>(pub Arc<T>);
                    impl<
                        T: JobService,
                    > tonic::server::UnaryService<super::ListApprovalsRequest>
                    for ListApprovalsSvc<T> {
                        type Response = super::ListApprovalsResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::ListApprovalsRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as JobService>::list_approvals(&inner, request).await
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
                        let method = ListApprovalsSvc(inner);
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
                "/holdfast.jobs.v1.JobService/ResubmitJob" => {
                    #[allow(non_camel_case_types)]
                    struct ResubmitJobSvc<T: JobService>(pub Arc<T>);
                    impl<
                        T: JobService,
                    > tonic::server::UnaryService<super::ResubmitJobRequest>
                    for ResubmitJobSvc<T> {
                        type Response = super::ResubmitJobResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::ResubmitJobRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as JobService>::resubmit_job(&inner, request).await
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
                        let method = ResubmitJobSvc(inner);
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
                "/holdfast.jobs.v1.JobService/WatchJobs" => {
                    #[allow(non_camel_case_types)]
                    struct WatchJobsSvc<T: JobService>(pub Arc<T>);
                    impl<
                        T: JobService,
                    > tonic::server::ServerStreamingService<super::WatchJobsRequest>
                    for WatchJobsSvc<T> {
                        type Response = super::WatchJobsResponse;
                        type ResponseStream = T::WatchJobsStream;
                        type Future = BoxFuture<
                            tonic::Response<Self::ResponseStream>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::WatchJobsRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as JobService>::watch_jobs(&inner, request).await
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
                        let method = WatchJobsSvc(inner);
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
    impl<T> Clone for JobServiceServer<T> {
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
    pub const SERVICE_NAME: &str = "holdfast.jobs.v1.JobService";
    impl<T> tonic::server::NamedService for JobServiceServer<T> {
        const NAME: &'static str = SERVICE_NAME;
    }
}
/// What an owner has set. What is 0 or absent is as configuration has it for all.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ProjectSettings {
    /// Jobs that run at once, up to 1,000,000; 1 makes the project serial. Lowered, it ends nothing that runs.
    #[prost(int32, tag = "1")]
    pub running_max: i32,
    /// The project's share among those of its tenant, up to 10,000; 100 where 0.
    #[prost(int32, tag = "2")]
    pub weight: i32,
    /// Depth of its queue from which jobs that are not safety-critical are refused while the outbox is over its soft limit; up to
    /// 1,000,000 and not above queue_hard.
    #[prost(int32, tag = "3")]
    pub queue_soft: i32,
    /// Depth of its queue from which every new job is refused, up to 1,000,000.
    #[prost(int32, tag = "4")]
    pub queue_hard: i32,
    /// What its jobs may use in a UTC day, in tokens and in millionths of a US dollar; 0 is what configuration says. One that was
    /// lowered below what is used already ends jobs within tasks.budget_counters_period_ms.
    #[prost(uint64, tag = "5")]
    pub tokens_per_day_max: u64,
    #[prost(uint64, tag = "6")]
    pub cost_micros_per_day_max: u64,
    /// At most 1,000, one an intent.
    #[prost(message, repeated, tag = "7")]
    pub intents: ::prost::alloc::vec::Vec<IntentPolicy>,
}
/// What holds for one intent in one project. What is 0 or absent is as configuration has it for the intent.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct IntentPolicy {
    /// 1 to 128 of a-z, 0-9, '-', '\_', '.', beginning with a letter or digit.
    #[prost(string, tag = "1")]
    pub intent: ::prost::alloc::string::String,
    /// Jobs of a lower tier are raised to this one. An agent that its token keeps below it is refused.
    #[prost(enumeration = "RiskTier", tag = "2")]
    pub tier_floor: i32,
    /// Time under lease over all attempts, 1 s to 7 days.
    #[prost(message, optional, tag = "3")]
    pub run_budget: ::core::option::Option<::prost_types::Duration>,
    /// For a decision, 1 s to 30 days.
    #[prost(message, optional, tag = "4")]
    pub human_budget: ::core::option::Option<::prost_types::Duration>,
    /// Attempts in all, up to 1,000.
    #[prost(int32, tag = "5")]
    pub max_attempts: i32,
    /// The back-off after the first failure, 1 ms to 1 day; and the longest.
    #[prost(message, optional, tag = "6")]
    pub retry_initial: ::core::option::Option<::prost_types::Duration>,
    #[prost(message, optional, tag = "7")]
    pub retry_cap: ::core::option::Option<::prost_types::Duration>,
    /// No retry begins later than this after the first failure; 1 ms to 30 days.
    #[prost(message, optional, tag = "8")]
    pub retry_window: ::core::option::Option<::prost_types::Duration>,
    /// How long an idempotency key stands for its job, 1 ms to 366 days.
    #[prost(message, optional, tag = "9")]
    pub key_window: ::core::option::Option<::prost_types::Duration>,
    /// Time in the queue while nothing but a worker is missing (Job.queue_clock), 1 s to 7 days, and what comes of using it up.
    #[prost(message, optional, tag = "10")]
    pub queue_budget: ::core::option::Option<::prost_types::Duration>,
    #[prost(enumeration = "QueueTimeoutReaction", tag = "11")]
    pub on_queue_timeout: i32,
    /// What jobs of this intent may be the parents of. Absent: any intent.
    #[prost(message, optional, tag = "12")]
    pub delegations: ::core::option::Option<Delegations>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Delegations {
    /// Empty: none.
    #[prost(string, repeated, tag = "1")]
    pub intents: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Project {
    #[prost(string, tag = "1")]
    pub tenant_id: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub project_id: ::prost::alloc::string::String,
    /// How often its settings were changed; 0 for none of its own.
    #[prost(uint64, tag = "3")]
    pub version: u64,
    #[prost(message, optional, tag = "4")]
    pub settings: ::core::option::Option<ProjectSettings>,
    /// What holds: the settings, and configuration where they leave something out. Absent budgets are no limit; intents are
    /// those of the settings.
    #[prost(message, optional, tag = "5")]
    pub in_force: ::core::option::Option<ProjectSettings>,
    /// Of the latest change; absent at version 0.
    #[prost(message, optional, tag = "6")]
    pub updated_at: ::core::option::Option<::prost_types::Timestamp>,
    #[prost(string, tag = "7")]
    pub updated_by: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct GetProjectRequest {
    /// As in SubmitJobRequest.
    #[prost(string, tag = "1")]
    pub tenant_id: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub project_id: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct GetProjectResponse {
    #[prost(message, optional, tag = "1")]
    pub project: ::core::option::Option<Project>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct UpdateProjectRequest {
    /// As in SubmitJobRequest.
    #[prost(string, tag = "1")]
    pub tenant_id: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub project_id: ::prost::alloc::string::String,
    /// The version that the caller has read; 0 where the project has no settings yet.
    #[prost(uint64, tag = "3")]
    pub expected_version: u64,
    /// Required. All of them: what is left out goes back to what configuration has.
    #[prost(message, optional, tag = "4")]
    pub settings: ::core::option::Option<ProjectSettings>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct UpdateProjectResponse {
    #[prost(message, optional, tag = "1")]
    pub project: ::core::option::Option<Project>,
    /// True where the project had just these settings, one version after the expected one.
    #[prost(bool, tag = "2")]
    pub replayed: bool,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ListProjectsRequest {
    /// As in SubmitJobRequest.
    #[prost(string, tag = "1")]
    pub tenant_id: ::prost::alloc::string::String,
    /// 1 to 1,000; 50 where 0. A page holds fewer where they would be more than 3 MiB.
    #[prost(int32, tag = "2")]
    pub page_size: i32,
    /// next_page_token of the page before, of the same tenant.
    #[prost(string, tag = "3")]
    pub page_token: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ListProjectsResponse {
    #[prost(message, repeated, tag = "1")]
    pub projects: ::prost::alloc::vec::Vec<Project>,
    /// Empty on the last page.
    #[prost(string, tag = "2")]
    pub next_page_token: ::prost::alloc::string::String,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum QueueTimeoutReaction {
    /// As EVENT.
    Unspecified = 0,
    /// Told by the event job.queue_overdue; the job waits on.
    Event = 1,
    /// The job is timed out, clock "queue".
    TimeOut = 2,
}
impl QueueTimeoutReaction {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unspecified => "QUEUE_TIMEOUT_REACTION_UNSPECIFIED",
            Self::Event => "QUEUE_TIMEOUT_REACTION_EVENT",
            Self::TimeOut => "QUEUE_TIMEOUT_REACTION_TIME_OUT",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "QUEUE_TIMEOUT_REACTION_UNSPECIFIED" => Some(Self::Unspecified),
            "QUEUE_TIMEOUT_REACTION_EVENT" => Some(Self::Event),
            "QUEUE_TIMEOUT_REACTION_TIME_OUT" => Some(Self::TimeOut),
            _ => None,
        }
    }
}
/// Generated client implementations.
pub mod project_service_client {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value,
    )]
    use tonic::codegen::*;
    use tonic::codegen::http::Uri;
    /// What a project may do: how many of its jobs run at once, its share among others, how much may wait, what it may spend, and
    /// the terms of its intents.
    ///
    /// Settings are replaced whole, under the version that the caller has read: of two changes at once one is taken and the other
    /// refused. A change commits with a row of a history that is never changed and with the event project.settings_changed. Limits
    /// of running jobs hold from the commit on, for every claim; shares, limits of submissions and intents' terms hold at once on the
    /// instance that answered, and on the others within 2 s by default, also while Redis is away. A job keeps the terms it was
    /// submitted under; back-off alone goes by the settings of the moment.
    ///
    /// Beside the reasons that a method names, any call can fail with AUTH_401\_*, AUTH_403_ROLE, AUTH_403_SCOPE where the token
    /// is not for the tenant or project, REQ_400\_*, REQ_408_DEADLINE, INFRA_503_DEPENDENCY_DOWN, INFRA_503_DRAINING and
    /// INTERNAL_500_UNEXPECTED.
    #[derive(Debug, Clone)]
    pub struct ProjectServiceClient<T> {
        inner: tonic::client::Grpc<T>,
    }
    impl ProjectServiceClient<tonic::transport::Channel> {
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
    impl<T> ProjectServiceClient<T>
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
        ) -> ProjectServiceClient<InterceptedService<T, F>>
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
            ProjectServiceClient::new(InterceptedService::new(inner, interceptor))
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
        /// One project, from the primary. A project that nobody has changed or used answers with version 0 and no settings of its own.
        pub async fn get_project(
            &mut self,
            request: impl tonic::IntoRequest<super::GetProjectRequest>,
        ) -> std::result::Result<
            tonic::Response<super::GetProjectResponse>,
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
                "/holdfast.jobs.v1.ProjectService/GetProject",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(
                    GrpcMethod::new("holdfast.jobs.v1.ProjectService", "GetProject"),
                );
            self.inner.unary(req, path, codec).await
        }
        /// Replaces the settings. For owners and admins; a change of intents is for owners, being one of rules. Fails with
        /// PROJECT_409_VERSION_CONFLICT where the project is not at expected_version.
        ///
        /// Safe to repeat: a call whose answer was lost finds the project one version on with the very settings that it asked for,
        /// and is answered with that version (replayed). Where somebody else has changed them since, it is refused, and the caller
        /// does not learn from it whether its own change was taken in between: the history has it.
        pub async fn update_project(
            &mut self,
            request: impl tonic::IntoRequest<super::UpdateProjectRequest>,
        ) -> std::result::Result<
            tonic::Response<super::UpdateProjectResponse>,
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
                "/holdfast.jobs.v1.ProjectService/UpdateProject",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(
                    GrpcMethod::new("holdfast.jobs.v1.ProjectService", "UpdateProject"),
                );
            self.inner.unary(req, path, codec).await
        }
        /// The projects of a tenant that have settings or have had a job, by name; of those that the token is for. Where a replica
        /// serves lists, a change made just now may be missing.
        pub async fn list_projects(
            &mut self,
            request: impl tonic::IntoRequest<super::ListProjectsRequest>,
        ) -> std::result::Result<
            tonic::Response<super::ListProjectsResponse>,
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
                "/holdfast.jobs.v1.ProjectService/ListProjects",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(
                    GrpcMethod::new("holdfast.jobs.v1.ProjectService", "ListProjects"),
                );
            self.inner.unary(req, path, codec).await
        }
    }
}
/// Generated server implementations.
pub mod project_service_server {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value,
    )]
    use tonic::codegen::*;
    /// Generated trait containing gRPC methods that should be implemented for use with ProjectServiceServer.
    #[async_trait]
    pub trait ProjectService: std::marker::Send + std::marker::Sync + 'static {
        /// One project, from the primary. A project that nobody has changed or used answers with version 0 and no settings of its own.
        async fn get_project(
            &self,
            request: tonic::Request<super::GetProjectRequest>,
        ) -> std::result::Result<
            tonic::Response<super::GetProjectResponse>,
            tonic::Status,
        >;
        /// Replaces the settings. For owners and admins; a change of intents is for owners, being one of rules. Fails with
        /// PROJECT_409_VERSION_CONFLICT where the project is not at expected_version.
        ///
        /// Safe to repeat: a call whose answer was lost finds the project one version on with the very settings that it asked for,
        /// and is answered with that version (replayed). Where somebody else has changed them since, it is refused, and the caller
        /// does not learn from it whether its own change was taken in between: the history has it.
        async fn update_project(
            &self,
            request: tonic::Request<super::UpdateProjectRequest>,
        ) -> std::result::Result<
            tonic::Response<super::UpdateProjectResponse>,
            tonic::Status,
        >;
        /// The projects of a tenant that have settings or have had a job, by name; of those that the token is for. Where a replica
        /// serves lists, a change made just now may be missing.
        async fn list_projects(
            &self,
            request: tonic::Request<super::ListProjectsRequest>,
        ) -> std::result::Result<
            tonic::Response<super::ListProjectsResponse>,
            tonic::Status,
        >;
    }
    /// What a project may do: how many of its jobs run at once, its share among others, how much may wait, what it may spend, and
    /// the terms of its intents.
    ///
    /// Settings are replaced whole, under the version that the caller has read: of two changes at once one is taken and the other
    /// refused. A change commits with a row of a history that is never changed and with the event project.settings_changed. Limits
    /// of running jobs hold from the commit on, for every claim; shares, limits of submissions and intents' terms hold at once on the
    /// instance that answered, and on the others within 2 s by default, also while Redis is away. A job keeps the terms it was
    /// submitted under; back-off alone goes by the settings of the moment.
    ///
    /// Beside the reasons that a method names, any call can fail with AUTH_401\_*, AUTH_403_ROLE, AUTH_403_SCOPE where the token
    /// is not for the tenant or project, REQ_400\_*, REQ_408_DEADLINE, INFRA_503_DEPENDENCY_DOWN, INFRA_503_DRAINING and
    /// INTERNAL_500_UNEXPECTED.
    #[derive(Debug)]
    pub struct ProjectServiceServer<T> {
        inner: Arc<T>,
        accept_compression_encodings: EnabledCompressionEncodings,
        send_compression_encodings: EnabledCompressionEncodings,
        max_decoding_message_size: Option<usize>,
        max_encoding_message_size: Option<usize>,
    }
    impl<T> ProjectServiceServer<T> {
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
    impl<T, B> tonic::codegen::Service<http::Request<B>> for ProjectServiceServer<T>
    where
        T: ProjectService,
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
                "/holdfast.jobs.v1.ProjectService/GetProject" => {
                    #[allow(non_camel_case_types)]
                    struct GetProjectSvc<T: ProjectService>(pub Arc<T>);
                    impl<
                        T: ProjectService,
                    > tonic::server::UnaryService<super::GetProjectRequest>
                    for GetProjectSvc<T> {
                        type Response = super::GetProjectResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::GetProjectRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as ProjectService>::get_project(&inner, request).await
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
                        let method = GetProjectSvc(inner);
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
                "/holdfast.jobs.v1.ProjectService/UpdateProject" => {
                    #[allow(non_camel_case_types)]
                    struct UpdateProjectSvc<T: ProjectService>(pub Arc<T>);
                    impl<
                        T: ProjectService,
                    > tonic::server::UnaryService<super::UpdateProjectRequest>
                    for UpdateProjectSvc<T> {
                        type Response = super::UpdateProjectResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::UpdateProjectRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as ProjectService>::update_project(&inner, request).await
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
                        let method = UpdateProjectSvc(inner);
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
                "/holdfast.jobs.v1.ProjectService/ListProjects" => {
                    #[allow(non_camel_case_types)]
                    struct ListProjectsSvc<T: ProjectService>(pub Arc<T>);
                    impl<
                        T: ProjectService,
                    > tonic::server::UnaryService<super::ListProjectsRequest>
                    for ListProjectsSvc<T> {
                        type Response = super::ListProjectsResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::ListProjectsRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as ProjectService>::list_projects(&inner, request).await
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
                        let method = ListProjectsSvc(inner);
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
    impl<T> Clone for ProjectServiceServer<T> {
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
    pub const SERVICE_NAME: &str = "holdfast.jobs.v1.ProjectService";
    impl<T> tonic::server::NamedService for ProjectServiceServer<T> {
        const NAME: &'static str = SERVICE_NAME;
    }
}
/// What a worker holds: named in every answer about the job.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct LeaseRef {
    /// A UUIDv7.
    #[prost(string, tag = "1")]
    pub job_id: ::prost::alloc::string::String,
    /// A UUID, another one for each lease.
    #[prost(string, tag = "2")]
    pub lease_id: ::prost::alloc::string::String,
    /// 1 or more; grows with each lease of the job.
    #[prost(uint64, tag = "3")]
    pub fencing_token: u64,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct LeasedJob {
    #[prost(message, optional, tag = "1")]
    pub lease: ::core::option::Option<LeaseRef>,
    #[prost(string, tag = "2")]
    pub tenant_id: ::prost::alloc::string::String,
    #[prost(string, tag = "3")]
    pub project_id: ::prost::alloc::string::String,
    #[prost(string, tag = "4")]
    pub intent: ::prost::alloc::string::String,
    #[prost(enumeration = "Queue", tag = "5")]
    pub queue: i32,
    #[prost(enumeration = "RiskTier", tag = "6")]
    pub tier: i32,
    /// 0 to 9 (first).
    #[prost(int32, tag = "7")]
    pub priority: i32,
    /// 1 for the first.
    #[prost(int32, tag = "8")]
    pub attempt: i32,
    /// The principal that submitted the job, and the key it did so under.
    #[prost(string, tag = "9")]
    pub actor_id: ::prost::alloc::string::String,
    #[prost(string, tag = "10")]
    pub idempotency_key: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "11")]
    pub payload: ::core::option::Option<Payload>,
    /// By the database's clock.
    #[prost(message, optional, tag = "12")]
    pub lease_expires_at: ::core::option::Option<::prost_types::Timestamp>,
    /// The run budget is used up at this time, however often the lease is extended.
    #[prost(message, optional, tag = "13")]
    pub run_deadline: ::core::option::Option<::prost_types::Timestamp>,
    #[prost(message, optional, tag = "14")]
    pub created_at: ::core::option::Option<::prost_types::Timestamp>,
    #[prost(string, tag = "15")]
    pub request_id: ::prost::alloc::string::String,
    /// W3C trace context of the submission.
    #[prost(string, tag = "16")]
    pub traceparent: ::prost::alloc::string::String,
    /// W3C tracestate that came with it, at most 512 characters; mostly empty.
    #[prost(string, tag = "17")]
    pub tracestate: ::prost::alloc::string::String,
    /// What the worker's own logs and stores have to keep to.
    #[prost(enumeration = "Classification", tag = "20")]
    pub classification: i32,
    #[prost(enumeration = "Residency", tag = "21")]
    pub residency: i32,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct WorkRequest {
    #[prost(oneof = "work_request::Message", tags = "1, 2, 3, 4, 5")]
    pub message: ::core::option::Option<work_request::Message>,
}
/// Nested message and enum types in `WorkRequest`.
pub mod work_request {
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct Hello {
        /// Chosen by the worker, shown in the history: 1 to 128 of letters, digits, '.', '\_', ':', '/', '-', beginning with a
        /// letter or digit.
        #[prost(string, tag = "1")]
        pub worker_id: ::prost::alloc::string::String,
        /// 1 to 1,000; "\*" for all that the worker's configuration allows.
        #[prost(string, repeated, tag = "2")]
        pub intents: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
        /// 1 to 1,000; a queue named twice counts once.
        #[prost(enumeration = "super::Queue", repeated, tag = "3")]
        pub queues: ::prost::alloc::vec::Vec<i32>,
        /// Jobs held at once, 1 to 1,000.
        #[prost(int32, tag = "4")]
        pub capacity: i32,
        /// Leases from an earlier session that the worker still works on, at most 1,000; they count against capacity.
        #[prost(message, repeated, tag = "5")]
        pub held: ::prost::alloc::vec::Vec<super::LeaseRef>,
    }
    /// Extends every lease named.
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct Heartbeat {
        /// At most 1,000.
        #[prost(message, repeated, tag = "1")]
        pub leases: ::prost::alloc::vec::Vec<super::LeaseExtension>,
    }
    /// No further jobs; each lease named here is given back unfinished at no cost of an attempt. Those not named can still
    /// be completed. The session ends once none is held.
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct Drain {
        /// At most 1,000.
        #[prost(message, repeated, tag = "1")]
        pub release: ::prost::alloc::vec::Vec<super::LeaseRef>,
    }
    #[derive(Clone, PartialEq, ::prost::Oneof)]
    pub enum Message {
        #[prost(message, tag = "1")]
        Hello(Hello),
        #[prost(message, tag = "2")]
        Heartbeat(Heartbeat),
        #[prost(message, tag = "3")]
        Complete(super::CompleteJobRequest),
        #[prost(message, tag = "4")]
        Fail(super::FailJobRequest),
        #[prost(message, tag = "5")]
        Drain(Drain),
    }
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct WorkResponse {
    #[prost(oneof = "work_response::Message", tags = "1, 2, 3, 4, 5, 6")]
    pub message: ::core::option::Option<work_response::Message>,
}
/// Nested message and enum types in `WorkResponse`.
pub mod work_response {
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct Welcome {
        /// A UUIDv7, for logs.
        #[prost(string, tag = "1")]
        pub session_id: ::prost::alloc::string::String,
        /// How long a lease holds without a heartbeat.
        #[prost(message, optional, tag = "2")]
        pub lease_ttl: ::core::option::Option<::prost_types::Duration>,
        /// Heartbeat at least this often.
        #[prost(message, optional, tag = "3")]
        pub heartbeat_interval: ::core::option::Option<::prost_types::Duration>,
        /// What became of the leases named in the hello.
        #[prost(message, repeated, tag = "4")]
        pub held: ::prost::alloc::vec::Vec<super::LeaseExtensionResult>,
    }
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct Extended {
        /// One a lease of the heartbeat.
        #[prost(message, repeated, tag = "1")]
        pub results: ::prost::alloc::vec::Vec<super::LeaseExtensionResult>,
    }
    /// The answer to a complete, a fail, or a release in a drain.
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct Answered {
        #[prost(message, optional, tag = "1")]
        pub lease: ::core::option::Option<super::LeaseRef>,
        #[prost(oneof = "answered::Outcome", tags = "2, 3, 4, 5")]
        pub outcome: ::core::option::Option<answered::Outcome>,
    }
    /// Nested message and enum types in `Answered`.
    pub mod answered {
        #[derive(Clone, PartialEq, ::prost::Oneof)]
        pub enum Outcome {
            #[prost(message, tag = "2")]
            Completed(super::super::CompleteJobResponse),
            #[prost(message, tag = "3")]
            Failed(super::super::FailJobResponse),
            #[prost(message, tag = "4")]
            Released(super::Released),
            #[prost(message, tag = "5")]
            Error(::tonic_types::Status),
        }
    }
    #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Released {}
    /// Stop working on this job: the lease is void.
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct Revoked {
        #[prost(message, optional, tag = "1")]
        pub lease: ::core::option::Option<super::LeaseRef>,
        /// With reason JOB_409_ALREADY_TERMINAL where the job was cancelled, timed out or exceeded a budget, JOB_409_STALE_FENCE where the lease ran out.
        #[prost(message, optional, tag = "2")]
        pub cause: ::core::option::Option<::tonic_types::Status>,
    }
    /// The instance is stopping: finish or release, then connect again.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Draining {
        /// Leased jobs can be answered on this session until then.
        #[prost(message, optional, tag = "1")]
        pub until: ::core::option::Option<::prost_types::Timestamp>,
    }
    #[derive(Clone, PartialEq, ::prost::Oneof)]
    pub enum Message {
        #[prost(message, tag = "1")]
        Welcome(Welcome),
        #[prost(message, tag = "2")]
        Leased(super::LeasedJob),
        #[prost(message, tag = "3")]
        Extended(Extended),
        #[prost(message, tag = "4")]
        Answered(Answered),
        #[prost(message, tag = "5")]
        Revoked(Revoked),
        #[prost(message, tag = "6")]
        Draining(Draining),
    }
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct LeaseExtension {
    /// Required.
    #[prost(message, optional, tag = "1")]
    pub lease: ::core::option::Option<LeaseRef>,
    /// What was reported before stays where absent.
    #[prost(message, optional, tag = "2")]
    pub progress: ::core::option::Option<Progress>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct LeaseExtensionResult {
    /// As it was sent.
    #[prost(message, optional, tag = "1")]
    pub lease: ::core::option::Option<LeaseRef>,
    #[prost(oneof = "lease_extension_result::Outcome", tags = "2, 3")]
    pub outcome: ::core::option::Option<lease_extension_result::Outcome>,
}
/// Nested message and enum types in `LeaseExtensionResult`.
pub mod lease_extension_result {
    #[derive(Clone, PartialEq, ::prost::Oneof)]
    pub enum Outcome {
        #[prost(message, tag = "2")]
        LeaseExpiresAt(::prost_types::Timestamp),
        #[prost(message, tag = "3")]
        Error(::tonic_types::Status),
    }
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct LeaseJobsRequest {
    /// Chosen by the worker, shown in the history: 1 to 128 of letters, digits, '.', '\_', ':', '/', '-', beginning with a
    /// letter or digit.
    #[prost(string, tag = "1")]
    pub worker_id: ::prost::alloc::string::String,
    /// 1 to 1,000; "\*" for all that the worker's configuration allows.
    #[prost(string, repeated, tag = "2")]
    pub intents: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// 1 to 1,000; a queue named twice counts once.
    #[prost(enumeration = "Queue", repeated, tag = "3")]
    pub queues: ::prost::alloc::vec::Vec<i32>,
    /// 1 to 1,000; fewer are leased where their payloads would be more than 3 MiB.
    #[prost(int32, tag = "4")]
    pub max_jobs: i32,
    /// 0 (default) to 30 s; the answer comes as soon as there is a job, and before the deadline of the call.
    #[prost(message, optional, tag = "5")]
    pub wait: ::core::option::Option<::prost_types::Duration>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct LeaseJobsResponse {
    #[prost(message, repeated, tag = "1")]
    pub jobs: ::prost::alloc::vec::Vec<LeasedJob>,
    /// How long a lease holds without an extension.
    #[prost(message, optional, tag = "2")]
    pub lease_ttl: ::core::option::Option<::prost_types::Duration>,
    /// Extend at least this often.
    #[prost(message, optional, tag = "3")]
    pub heartbeat_interval: ::core::option::Option<::prost_types::Duration>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ExtendLeasesRequest {
    /// 1 to 1,000.
    #[prost(message, repeated, tag = "1")]
    pub leases: ::prost::alloc::vec::Vec<LeaseExtension>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ExtendLeasesResponse {
    /// One an item, in the order sent.
    #[prost(message, repeated, tag = "1")]
    pub results: ::prost::alloc::vec::Vec<LeaseExtensionResult>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct CompleteJobRequest {
    /// Required.
    #[prost(message, optional, tag = "1")]
    pub lease: ::core::option::Option<LeaseRef>,
    /// Required.
    #[prost(message, optional, tag = "2")]
    pub result: ::core::option::Option<Payload>,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct CompleteJobResponse {
    /// DONE.
    #[prost(enumeration = "JobState", tag = "1")]
    pub state: i32,
    #[prost(message, optional, tag = "2")]
    pub finished_at: ::core::option::Option<::prost_types::Timestamp>,
    /// True where the same answer was recorded before.
    #[prost(bool, tag = "3")]
    pub replayed: bool,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct FailJobRequest {
    /// Required.
    #[prost(message, optional, tag = "1")]
    pub lease: ::core::option::Option<LeaseRef>,
    /// True where another attempt may succeed.
    #[prost(bool, tag = "2")]
    pub retryable: bool,
    /// Lower-case letters, digits and underscores, 1 to 64.
    #[prost(string, tag = "3")]
    pub code: ::prost::alloc::string::String,
    /// At most 1,024 characters; goes into history and events, but of a sensitive job: no secrets.
    #[prost(string, tag = "4")]
    pub message: ::prost::alloc::string::String,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct FailJobResponse {
    /// RETRYING, FAILED where the failure is not retryable or no retry is left, or TIMED_OUT.
    #[prost(enumeration = "JobState", tag = "1")]
    pub state: i32,
    /// Present in state RETRYING.
    #[prost(message, optional, tag = "2")]
    pub next_attempt_at: ::core::option::Option<::prost_types::Timestamp>,
    /// True where the same answer was recorded before.
    #[prost(bool, tag = "3")]
    pub replayed: bool,
}
/// Generated client implementations.
pub mod worker_service_client {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value,
    )]
    use tonic::codegen::*;
    use tonic::codegen::http::Uri;
    /// Hands jobs to workers under leases.
    ///
    /// A lease has an id, an expiry by the database's clock and a fencing token that grows with each lease of the job. Who
    /// holds the lease may extend it, complete the job or fail it; anyone else is refused with JOB_409_STALE_FENCE. A worker
    /// that is not heard of before the expiry loses the job to a retry. The same answer under the same lease, repeated, is
    /// answered the same: a worker that did not hear the acknowledgement asks again.
    ///
    /// A worker that writes elsewhere passes its fencing token along, and the place it writes to refuses a lower one than it
    /// has seen: that is what keeps a worker that slept through its expiry from overwriting its successor.
    ///
    /// Which tenants and intents a worker may lease from is set by configuration of the service, by the token's subject; one
    /// that no configuration covers is refused with AUTH_403_SCOPE by every method. Beside the reasons that a method names, any
    /// call can fail with AUTH_401\_*, AUTH_403_ROLE, REQ_400\_*, REQ_408_DEADLINE (Work excepted), INFRA_503_DEPENDENCY_DOWN,
    /// INFRA_503_DRAINING and INTERNAL_500_UNEXPECTED.
    #[derive(Debug, Clone)]
    pub struct WorkerServiceClient<T> {
        inner: tonic::client::Grpc<T>,
    }
    impl WorkerServiceClient<tonic::transport::Channel> {
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
    impl<T> WorkerServiceClient<T>
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
        ) -> WorkerServiceClient<InterceptedService<T, F>>
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
            WorkerServiceClient::new(InterceptedService::new(inner, interceptor))
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
        /// The worker's session. The first message is the hello; leased jobs are pushed while fewer than capacity are held.
        /// A broken session leaves its leases as they are: a worker that comes back before they expire names them in its hello.
        /// The session ends with AUTH_401_INVALID_TOKEN when its token expires, with INFRA_503_DRAINING when the instance stops,
        /// and with REQ_400\_\* at a malformed message; JSON that is none fails its own answer alone.
        pub async fn work(
            &mut self,
            request: impl tonic::IntoStreamingRequest<Message = super::WorkRequest>,
        ) -> std::result::Result<
            tonic::Response<tonic::codec::Streaming<super::WorkResponse>>,
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
                "/holdfast.jobs.v1.WorkerService/Work",
            );
            let mut req = request.into_streaming_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("holdfast.jobs.v1.WorkerService", "Work"));
            self.inner.streaming(req, path, codec).await
        }
        /// Leases up to max_jobs, waiting up to wait for the first; no job is no failure. Fails with INFRA_503_DEPENDENCY_DOWN
        /// where it could not be seen whether there are any.
        pub async fn lease_jobs(
            &mut self,
            request: impl tonic::IntoRequest<super::LeaseJobsRequest>,
        ) -> std::result::Result<
            tonic::Response<super::LeaseJobsResponse>,
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
                "/holdfast.jobs.v1.WorkerService/LeaseJobs",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("holdfast.jobs.v1.WorkerService", "LeaseJobs"));
            self.inner.unary(req, path, codec).await
        }
        /// Renews leases; each item succeeds or fails by itself: with JOB_409_STALE_FENCE where the lease is not the job's
        /// current one, JOB_409_ALREADY_TERMINAL where the job has ended, JOB_404_NOT_FOUND, REQ_400\_\*.
        pub async fn extend_leases(
            &mut self,
            request: impl tonic::IntoRequest<super::ExtendLeasesRequest>,
        ) -> std::result::Result<
            tonic::Response<super::ExtendLeasesResponse>,
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
                "/holdfast.jobs.v1.WorkerService/ExtendLeases",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(
                    GrpcMethod::new("holdfast.jobs.v1.WorkerService", "ExtendLeases"),
                );
            self.inner.unary(req, path, codec).await
        }
        /// Ends the job as done, with its result. Fails with JOB_409_STALE_FENCE where the lease is not the job's current one or
        /// has expired; JOB_409_ALREADY_TERMINAL where the job has ended; JOB_404_NOT_FOUND; REQ_400_INVALID_SCHEMA where the
        /// result is too large, or not JSON though its content type says so.
        pub async fn complete_job(
            &mut self,
            request: impl tonic::IntoRequest<super::CompleteJobRequest>,
        ) -> std::result::Result<
            tonic::Response<super::CompleteJobResponse>,
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
                "/holdfast.jobs.v1.WorkerService/CompleteJob",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(
                    GrpcMethod::new("holdfast.jobs.v1.WorkerService", "CompleteJob"),
                );
            self.inner.unary(req, path, codec).await
        }
        /// Ends the attempt: the job is tried again after its back-off, has failed for good, or has timed out where its total clock has no
        /// time for another attempt. Fails as CompleteJob does.
        pub async fn fail_job(
            &mut self,
            request: impl tonic::IntoRequest<super::FailJobRequest>,
        ) -> std::result::Result<
            tonic::Response<super::FailJobResponse>,
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
                "/holdfast.jobs.v1.WorkerService/FailJob",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("holdfast.jobs.v1.WorkerService", "FailJob"));
            self.inner.unary(req, path, codec).await
        }
    }
}
/// Generated server implementations.
pub mod worker_service_server {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value,
    )]
    use tonic::codegen::*;
    /// Generated trait containing gRPC methods that should be implemented for use with WorkerServiceServer.
    #[async_trait]
    pub trait WorkerService: std::marker::Send + std::marker::Sync + 'static {
        /// Server streaming response type for the Work method.
        type WorkStream: tonic::codegen::tokio_stream::Stream<
                Item = std::result::Result<super::WorkResponse, tonic::Status>,
            >
            + std::marker::Send
            + 'static;
        /// The worker's session. The first message is the hello; leased jobs are pushed while fewer than capacity are held.
        /// A broken session leaves its leases as they are: a worker that comes back before they expire names them in its hello.
        /// The session ends with AUTH_401_INVALID_TOKEN when its token expires, with INFRA_503_DRAINING when the instance stops,
        /// and with REQ_400\_\* at a malformed message; JSON that is none fails its own answer alone.
        async fn work(
            &self,
            request: tonic::Request<tonic::Streaming<super::WorkRequest>>,
        ) -> std::result::Result<tonic::Response<Self::WorkStream>, tonic::Status>;
        /// Leases up to max_jobs, waiting up to wait for the first; no job is no failure. Fails with INFRA_503_DEPENDENCY_DOWN
        /// where it could not be seen whether there are any.
        async fn lease_jobs(
            &self,
            request: tonic::Request<super::LeaseJobsRequest>,
        ) -> std::result::Result<
            tonic::Response<super::LeaseJobsResponse>,
            tonic::Status,
        >;
        /// Renews leases; each item succeeds or fails by itself: with JOB_409_STALE_FENCE where the lease is not the job's
        /// current one, JOB_409_ALREADY_TERMINAL where the job has ended, JOB_404_NOT_FOUND, REQ_400\_\*.
        async fn extend_leases(
            &self,
            request: tonic::Request<super::ExtendLeasesRequest>,
        ) -> std::result::Result<
            tonic::Response<super::ExtendLeasesResponse>,
            tonic::Status,
        >;
        /// Ends the job as done, with its result. Fails with JOB_409_STALE_FENCE where the lease is not the job's current one or
        /// has expired; JOB_409_ALREADY_TERMINAL where the job has ended; JOB_404_NOT_FOUND; REQ_400_INVALID_SCHEMA where the
        /// result is too large, or not JSON though its content type says so.
        async fn complete_job(
            &self,
            request: tonic::Request<super::CompleteJobRequest>,
        ) -> std::result::Result<
            tonic::Response<super::CompleteJobResponse>,
            tonic::Status,
        >;
        /// Ends the attempt: the job is tried again after its back-off, has failed for good, or has timed out where its total clock has no
        /// time for another attempt. Fails as CompleteJob does.
        async fn fail_job(
            &self,
            request: tonic::Request<super::FailJobRequest>,
        ) -> std::result::Result<tonic::Response<super::FailJobResponse>, tonic::Status>;
    }
    /// Hands jobs to workers under leases.
    ///
    /// A lease has an id, an expiry by the database's clock and a fencing token that grows with each lease of the job. Who
    /// holds the lease may extend it, complete the job or fail it; anyone else is refused with JOB_409_STALE_FENCE. A worker
    /// that is not heard of before the expiry loses the job to a retry. The same answer under the same lease, repeated, is
    /// answered the same: a worker that did not hear the acknowledgement asks again.
    ///
    /// A worker that writes elsewhere passes its fencing token along, and the place it writes to refuses a lower one than it
    /// has seen: that is what keeps a worker that slept through its expiry from overwriting its successor.
    ///
    /// Which tenants and intents a worker may lease from is set by configuration of the service, by the token's subject; one
    /// that no configuration covers is refused with AUTH_403_SCOPE by every method. Beside the reasons that a method names, any
    /// call can fail with AUTH_401\_*, AUTH_403_ROLE, REQ_400\_*, REQ_408_DEADLINE (Work excepted), INFRA_503_DEPENDENCY_DOWN,
    /// INFRA_503_DRAINING and INTERNAL_500_UNEXPECTED.
    #[derive(Debug)]
    pub struct WorkerServiceServer<T> {
        inner: Arc<T>,
        accept_compression_encodings: EnabledCompressionEncodings,
        send_compression_encodings: EnabledCompressionEncodings,
        max_decoding_message_size: Option<usize>,
        max_encoding_message_size: Option<usize>,
    }
    impl<T> WorkerServiceServer<T> {
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
    impl<T, B> tonic::codegen::Service<http::Request<B>> for WorkerServiceServer<T>
    where
        T: WorkerService,
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
                "/holdfast.jobs.v1.WorkerService/Work" => {
                    #[allow(non_camel_case_types)]
                    struct WorkSvc<T: WorkerService>(pub Arc<T>);
                    impl<
                        T: WorkerService,
                    > tonic::server::StreamingService<super::WorkRequest>
                    for WorkSvc<T> {
                        type Response = super::WorkResponse;
                        type ResponseStream = T::WorkStream;
                        type Future = BoxFuture<
                            tonic::Response<Self::ResponseStream>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<tonic::Streaming<super::WorkRequest>>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as WorkerService>::work(&inner, request).await
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
                        let method = WorkSvc(inner);
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
                "/holdfast.jobs.v1.WorkerService/LeaseJobs" => {
                    #[allow(non_camel_case_types)]
                    struct LeaseJobsSvc<T: WorkerService>(pub Arc<T>);
                    impl<
                        T: WorkerService,
                    > tonic::server::UnaryService<super::LeaseJobsRequest>
                    for LeaseJobsSvc<T> {
                        type Response = super::LeaseJobsResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::LeaseJobsRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as WorkerService>::lease_jobs(&inner, request).await
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
                        let method = LeaseJobsSvc(inner);
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
                "/holdfast.jobs.v1.WorkerService/ExtendLeases" => {
                    #[allow(non_camel_case_types)]
                    struct ExtendLeasesSvc<T: WorkerService>(pub Arc<T>);
                    impl<
                        T: WorkerService,
                    > tonic::server::UnaryService<super::ExtendLeasesRequest>
                    for ExtendLeasesSvc<T> {
                        type Response = super::ExtendLeasesResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::ExtendLeasesRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as WorkerService>::extend_leases(&inner, request).await
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
                        let method = ExtendLeasesSvc(inner);
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
                "/holdfast.jobs.v1.WorkerService/CompleteJob" => {
                    #[allow(non_camel_case_types)]
                    struct CompleteJobSvc<T: WorkerService>(pub Arc<T>);
                    impl<
                        T: WorkerService,
                    > tonic::server::UnaryService<super::CompleteJobRequest>
                    for CompleteJobSvc<T> {
                        type Response = super::CompleteJobResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::CompleteJobRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as WorkerService>::complete_job(&inner, request).await
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
                        let method = CompleteJobSvc(inner);
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
                "/holdfast.jobs.v1.WorkerService/FailJob" => {
                    #[allow(non_camel_case_types)]
                    struct FailJobSvc<T: WorkerService>(pub Arc<T>);
                    impl<
                        T: WorkerService,
                    > tonic::server::UnaryService<super::FailJobRequest>
                    for FailJobSvc<T> {
                        type Response = super::FailJobResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::FailJobRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as WorkerService>::fail_job(&inner, request).await
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
                        let method = FailJobSvc(inner);
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
    impl<T> Clone for WorkerServiceServer<T> {
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
    pub const SERVICE_NAME: &str = "holdfast.jobs.v1.WorkerService";
    impl<T> tonic::server::NamedService for WorkerServiceServer<T> {
        const NAME: &'static str = SERVICE_NAME;
    }
}
/// One call of a model, or several taken together.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Usage {
    /// A UUIDv7; the job of the lease when empty.
    #[prost(string, tag = "1")]
    pub job_id: ::prost::alloc::string::String,
    /// Required of workers: the lease under which the model was called. Others leave it out, or name one that the job had.
    #[prost(message, optional, tag = "2")]
    pub lease: ::core::option::Option<LeaseRef>,
    /// What makes the same usage the same, within the job and for good: 1 to 256 printable ASCII characters without spaces.
    #[prost(string, tag = "3")]
    pub idempotency_key: ::prost::alloc::string::String,
    /// 1 to 64 of letters, digits, '.', '\_', ':', '/', '-', beginning with a letter or digit.
    #[prost(string, tag = "4")]
    pub provider: ::prost::alloc::string::String,
    /// 1 to 128 of the same alphabet.
    #[prost(string, tag = "5")]
    pub model: ::prost::alloc::string::String,
    /// 0 to 1,000,000,000.
    #[prost(int64, tag = "6")]
    pub input_tokens: i64,
    /// 0 to 1,000,000,000.
    #[prost(int64, tag = "7")]
    pub output_tokens: i64,
    /// Millionths of a US dollar, 0 to 10,000,000,000.
    #[prost(int64, tag = "8")]
    pub cost_micro_usd: i64,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct RecordUsageRequest {
    /// 1 to 1,000.
    #[prost(message, repeated, tag = "1")]
    pub usages: ::prost::alloc::vec::Vec<Usage>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct RecordUsageResponse {
    /// One an item, in the order sent.
    #[prost(message, repeated, tag = "1")]
    pub results: ::prost::alloc::vec::Vec<RecordUsageResult>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct RecordUsageResult {
    #[prost(oneof = "record_usage_result::Outcome", tags = "1, 2")]
    pub outcome: ::core::option::Option<record_usage_result::Outcome>,
}
/// Nested message and enum types in `RecordUsageResult`.
pub mod record_usage_result {
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct Recorded {
        /// True where it was recorded before.
        #[prost(bool, tag = "1")]
        pub replayed: bool,
        /// By the database's clock: which day and month it counts in.
        #[prost(message, optional, tag = "2")]
        pub recorded_at: ::core::option::Option<::prost_types::Timestamp>,
        /// As this call left it.
        #[prost(enumeration = "super::JobState", tag = "3")]
        pub job_state: i32,
        /// True where one of the budgets is exceeded: spend no more.
        #[prost(bool, tag = "4")]
        pub exceeded: bool,
        /// The four that the job draws on, as this call left them.
        #[prost(message, repeated, tag = "5")]
        pub budgets: ::prost::alloc::vec::Vec<super::Budget>,
    }
    #[derive(Clone, PartialEq, ::prost::Oneof)]
    pub enum Outcome {
        #[prost(message, tag = "1")]
        Recorded(Recorded),
        #[prost(message, tag = "2")]
        Error(::tonic_types::Status),
    }
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Budget {
    #[prost(enumeration = "BudgetScope", tag = "1")]
    pub scope: i32,
    /// The job's, the principal's, the project's or the tenant's id.
    #[prost(string, tag = "2")]
    pub scope_id: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "3")]
    pub tokens: ::core::option::Option<budget::Amount>,
    /// In millionths of a US dollar.
    #[prost(message, optional, tag = "4")]
    pub cost_micro_usd: ::core::option::Option<budget::Amount>,
    /// When the count begins anew; absent for a job's.
    #[prost(message, optional, tag = "5")]
    pub resets_at: ::core::option::Option<::prost_types::Timestamp>,
    /// More is used than the limit, of tokens or of money.
    #[prost(bool, tag = "6")]
    pub exceeded: bool,
}
/// Nested message and enum types in `Budget`.
pub mod budget {
    #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Amount {
        #[prost(int64, tag = "1")]
        pub used: i64,
        /// Absent where there is no limit.
        #[prost(int64, optional, tag = "2")]
        pub limit: ::core::option::Option<i64>,
    }
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct GetBudgetRequest {
    /// 1 to 64 of a-z, 0-9, '-', '\_', '.', beginning with a letter or digit; the token's tenant when empty.
    #[prost(string, tag = "1")]
    pub tenant_id: ::prost::alloc::string::String,
    #[prost(enumeration = "BudgetScope", tag = "2")]
    pub scope: i32,
    /// A job's or project's id; a principal's, the caller's own when empty; empty for TENANT.
    #[prost(string, tag = "3")]
    pub scope_id: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct GetBudgetResponse {
    #[prost(message, optional, tag = "1")]
    pub budget: ::core::option::Option<Budget>,
    #[prost(enumeration = "CountSource", tag = "2")]
    pub source: i32,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum BudgetScope {
    Unspecified = 0,
    /// Of one job, for all of its life.
    Job = 1,
    /// Of a principal, over the jobs that it submitted, a day.
    User = 2,
    /// Of a project, a day.
    Project = 3,
    /// Of a tenant, a month.
    Tenant = 4,
}
impl BudgetScope {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unspecified => "BUDGET_SCOPE_UNSPECIFIED",
            Self::Job => "BUDGET_SCOPE_JOB",
            Self::User => "BUDGET_SCOPE_USER",
            Self::Project => "BUDGET_SCOPE_PROJECT",
            Self::Tenant => "BUDGET_SCOPE_TENANT",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "BUDGET_SCOPE_UNSPECIFIED" => Some(Self::Unspecified),
            "BUDGET_SCOPE_JOB" => Some(Self::Job),
            "BUDGET_SCOPE_USER" => Some(Self::User),
            "BUDGET_SCOPE_PROJECT" => Some(Self::Project),
            "BUDGET_SCOPE_TENANT" => Some(Self::Tenant),
            _ => None,
        }
    }
}
/// Where a count was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum CountSource {
    Unspecified = 0,
    /// The counter in Redis, which follows PostgreSQL within milliseconds and is compared with it again and again.
    Redis = 1,
    /// PostgreSQL: the primary, which decides, or a replica that lags by no more than the deployment allows.
    Postgres = 2,
}
impl CountSource {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unspecified => "COUNT_SOURCE_UNSPECIFIED",
            Self::Redis => "COUNT_SOURCE_REDIS",
            Self::Postgres => "COUNT_SOURCE_POSTGRES",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "COUNT_SOURCE_UNSPECIFIED" => Some(Self::Unspecified),
            "COUNT_SOURCE_REDIS" => Some(Self::Redis),
            "COUNT_SOURCE_POSTGRES" => Some(Self::Postgres),
            _ => None,
        }
    }
}
/// Generated client implementations.
pub mod usage_service_client {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value,
    )]
    use tonic::codegen::*;
    use tonic::codegen::http::Uri;
    /// What jobs use of models, and the budgets that it counts against.
    ///
    /// Each job draws on four budgets: its own, for all of its life; its submitter's and its project's, of the day; its tenant's,
    /// of the month. Days and months are UTC, by the database's clock. A budget is exceeded once more is used than its limit; what
    /// was used is counted all the same. The job whose usage exceeds a budget ends as BUDGET_EXCEEDED in the same transaction, and
    /// the other jobs that draw on it and are queued, retrying or running end so within seconds; one that is not to run before the
    /// budget resets is left. Until then new jobs that would draw on it are refused with BUDGET_429_LIMIT.
    ///
    /// Beside the reasons that a method names, any call can fail with AUTH_401\_*, AUTH_403_ROLE, AUTH_403_SCOPE, REQ_400\_*,
    /// REQ_408_DEADLINE, INFRA_503_DEPENDENCY_DOWN, INFRA_503_DRAINING and INTERNAL_500_UNEXPECTED.
    #[derive(Debug, Clone)]
    pub struct UsageServiceClient<T> {
        inner: tonic::client::Grpc<T>,
    }
    impl UsageServiceClient<tonic::transport::Channel> {
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
    impl<T> UsageServiceClient<T>
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
        ) -> UsageServiceClient<InterceptedService<T, F>>
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
            UsageServiceClient::new(InterceptedService::new(inner, interceptor))
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
        /// Records what calls of models have cost. Each item succeeds or fails by itself: with JOB_404_NOT_FOUND;
        /// JOB_409_STALE_FENCE where the lease named was never one of the job's; AUTH_403_SCOPE where an agent may not submit jobs of
        /// this intent; JOB_409_IDEMPOTENCY_CONFLICT where the key was used for other usage of the job; REQ_400\_\*. Usage that comes
        /// after the job has ended, or under a lease that it has lost, is recorded too: the money is spent.
        pub async fn record_usage(
            &mut self,
            request: impl tonic::IntoRequest<super::RecordUsageRequest>,
        ) -> std::result::Result<
            tonic::Response<super::RecordUsageResponse>,
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
                "/holdfast.jobs.v1.UsageService/RecordUsage",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("holdfast.jobs.v1.UsageService", "RecordUsage"));
            self.inner.unary(req, path, codec).await
        }
        /// Tells how a budget stands. A caller asks about its own budget, its projects', and jobs that it may see; about the
        /// tenant's and other people's where its token is for all projects, AUTH_403_SCOPE otherwise. Fails with JOB_404_NOT_FOUND.
        /// Where a replica serves reports, what was recorded just now may be missing.
        pub async fn get_budget(
            &mut self,
            request: impl tonic::IntoRequest<super::GetBudgetRequest>,
        ) -> std::result::Result<
            tonic::Response<super::GetBudgetResponse>,
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
                "/holdfast.jobs.v1.UsageService/GetBudget",
            );
            let mut req = request.into_request();
            req.extensions_mut()
                .insert(GrpcMethod::new("holdfast.jobs.v1.UsageService", "GetBudget"));
            self.inner.unary(req, path, codec).await
        }
    }
}
/// Generated server implementations.
pub mod usage_service_server {
    #![allow(
        unused_variables,
        dead_code,
        missing_docs,
        clippy::wildcard_imports,
        clippy::let_unit_value,
    )]
    use tonic::codegen::*;
    /// Generated trait containing gRPC methods that should be implemented for use with UsageServiceServer.
    #[async_trait]
    pub trait UsageService: std::marker::Send + std::marker::Sync + 'static {
        /// Records what calls of models have cost. Each item succeeds or fails by itself: with JOB_404_NOT_FOUND;
        /// JOB_409_STALE_FENCE where the lease named was never one of the job's; AUTH_403_SCOPE where an agent may not submit jobs of
        /// this intent; JOB_409_IDEMPOTENCY_CONFLICT where the key was used for other usage of the job; REQ_400\_\*. Usage that comes
        /// after the job has ended, or under a lease that it has lost, is recorded too: the money is spent.
        async fn record_usage(
            &self,
            request: tonic::Request<super::RecordUsageRequest>,
        ) -> std::result::Result<
            tonic::Response<super::RecordUsageResponse>,
            tonic::Status,
        >;
        /// Tells how a budget stands. A caller asks about its own budget, its projects', and jobs that it may see; about the
        /// tenant's and other people's where its token is for all projects, AUTH_403_SCOPE otherwise. Fails with JOB_404_NOT_FOUND.
        /// Where a replica serves reports, what was recorded just now may be missing.
        async fn get_budget(
            &self,
            request: tonic::Request<super::GetBudgetRequest>,
        ) -> std::result::Result<
            tonic::Response<super::GetBudgetResponse>,
            tonic::Status,
        >;
    }
    /// What jobs use of models, and the budgets that it counts against.
    ///
    /// Each job draws on four budgets: its own, for all of its life; its submitter's and its project's, of the day; its tenant's,
    /// of the month. Days and months are UTC, by the database's clock. A budget is exceeded once more is used than its limit; what
    /// was used is counted all the same. The job whose usage exceeds a budget ends as BUDGET_EXCEEDED in the same transaction, and
    /// the other jobs that draw on it and are queued, retrying or running end so within seconds; one that is not to run before the
    /// budget resets is left. Until then new jobs that would draw on it are refused with BUDGET_429_LIMIT.
    ///
    /// Beside the reasons that a method names, any call can fail with AUTH_401\_*, AUTH_403_ROLE, AUTH_403_SCOPE, REQ_400\_*,
    /// REQ_408_DEADLINE, INFRA_503_DEPENDENCY_DOWN, INFRA_503_DRAINING and INTERNAL_500_UNEXPECTED.
    #[derive(Debug)]
    pub struct UsageServiceServer<T> {
        inner: Arc<T>,
        accept_compression_encodings: EnabledCompressionEncodings,
        send_compression_encodings: EnabledCompressionEncodings,
        max_decoding_message_size: Option<usize>,
        max_encoding_message_size: Option<usize>,
    }
    impl<T> UsageServiceServer<T> {
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
    impl<T, B> tonic::codegen::Service<http::Request<B>> for UsageServiceServer<T>
    where
        T: UsageService,
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
                "/holdfast.jobs.v1.UsageService/RecordUsage" => {
                    #[allow(non_camel_case_types)]
                    struct RecordUsageSvc<T: UsageService>(pub Arc<T>);
                    impl<
                        T: UsageService,
                    > tonic::server::UnaryService<super::RecordUsageRequest>
                    for RecordUsageSvc<T> {
                        type Response = super::RecordUsageResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::RecordUsageRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as UsageService>::record_usage(&inner, request).await
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
                        let method = RecordUsageSvc(inner);
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
                "/holdfast.jobs.v1.UsageService/GetBudget" => {
                    #[allow(non_camel_case_types)]
                    struct GetBudgetSvc<T: UsageService>(pub Arc<T>);
                    impl<
                        T: UsageService,
                    > tonic::server::UnaryService<super::GetBudgetRequest>
                    for GetBudgetSvc<T> {
                        type Response = super::GetBudgetResponse;
                        type Future = BoxFuture<
                            tonic::Response<Self::Response>,
                            tonic::Status,
                        >;
                        fn call(
                            &mut self,
                            request: tonic::Request<super::GetBudgetRequest>,
                        ) -> Self::Future {
                            let inner = Arc::clone(&self.0);
                            let fut = async move {
                                <T as UsageService>::get_budget(&inner, request).await
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
                        let method = GetBudgetSvc(inner);
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
    impl<T> Clone for UsageServiceServer<T> {
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
    pub const SERVICE_NAME: &str = "holdfast.jobs.v1.UsageService";
    impl<T> tonic::server::NamedService for UsageServiceServer<T> {
        const NAME: &'static str = SERVICE_NAME;
    }
}
