//! What JobService promises to those who submit.

mod batches;
mod cancelling;
mod lists;
mod payloads;
mod sizes;
mod submitting;
