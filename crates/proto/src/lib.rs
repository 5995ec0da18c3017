//! The contracts, as committed bindings: what `proto/` says, in Rust.
//!
//! Everything under `generated/` is written by `make proto` and compared by this crate's drift test, so that nobody needs
//! protoc. No logic lives here.
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
    }
}

pub mod policy {
    #[allow(clippy::all, missing_docs, unreachable_pub)]
    pub mod v1 {
        include!("generated/holdfast.policy.v1.rs");
    }
}
