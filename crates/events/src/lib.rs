//! Events: how they are written, where they go, how they are proved and how they are read.
//!
//! A service builds an [`Envelope`] with [`EventHeader`] in the transaction of the change it reports and stores its bytes
//! in its outbox. A relay copies the bytes, untouched, onto the stream of the event's shard ([`shard_of`]) and signs
//! each entry ([`Signer`]). A consumer reads the shards of a domain ([`StreamReader`]), refuses what does not verify
//! ([`VerifyingKeys`]) and applies each `event_id` once.
//!
//! Promises: events of one ordering key are on one stream, in the order of their `key_seq`, each at least once, unchanged
//! on redelivery. After Redis lost entries they come again: a consumer that counts must remember the ids it has seen.
#![forbid(unsafe_code)]

mod data;
mod entry;
mod envelope;
mod reader;
mod shard;
mod sign;

pub use data::EventData;
pub use entry::{EntryFields, EntryId, EntryIdError};
pub use envelope::{EnvelopeError, EventHeader, SPEC_VERSION, decode, encode, unpack};
pub use holdfast_proto::events::v1::Envelope;
pub use reader::{Delivery, StreamReader};
pub use shard::{SHARDS, shard_of};
pub use sign::{Refusal, SIGNING_KEY_BYTES_MIN, Signer, SigningKeyError, VerifyingKeys};
