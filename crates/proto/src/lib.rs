//! The contracts, as committed bindings: what `proto/` says, in Rust.
//!
//! Everything under `generated/` is written by `make proto` and compared by this crate's drift test, so that nobody needs
//! protoc. No logic lives here, but that payloads are not printed.
#![forbid(unsafe_code)]

/// Every file of `proto/`, encoded as a `google.protobuf.FileDescriptorSet`; served by gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/descriptor_set.bin");

pub mod errors {
    #[allow(clippy::all, missing_docs, unreachable_pub)]
    pub mod v1 {
        include!("generated/holdfast.errors.v1.rs");
    }
    pub mod catalogue {
        include!("generated/catalogue.rs");
    }
}

pub mod redacted {
    include!("generated/redacted.rs");
}

pub mod events {
    #[allow(clippy::all, missing_docs, unreachable_pub)]
    pub mod v1 {
        include!("generated/holdfast.events.v1.rs");
    }
}

pub mod jobs {
    #[allow(clippy::all, missing_docs, unreachable_pub)]
    pub mod v1 {
        include!("generated/holdfast.jobs.v1.rs");

        /// Without what it holds: whoever prints a job, in a log or an error, does not print what its caller sent.
        impl std::fmt::Debug for Payload {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let Self { data, content_type } = self;
                f.debug_struct("Payload").field("bytes", &data.len()).field("content_type", content_type).finish()
            }
        }
    }
}

pub mod locks {
    #[allow(clippy::all, missing_docs, unreachable_pub)]
    pub mod v1 {
        include!("generated/holdfast.locks.v1.rs");
    }
}

pub mod policy {
    #[allow(clippy::all, missing_docs, unreachable_pub)]
    pub mod v1 {
        include!("generated/holdfast.policy.v1.rs");
    }
}
