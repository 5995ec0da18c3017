//! The proof of the locks service: clients that write down what they were told of leases, and checkers of what they wrote.

pub mod client;
pub mod history;
pub mod holders;
pub mod journal;
pub mod linear;
pub mod order;
pub mod register;
pub mod rig;
pub mod stream;
