//! The testkit does what the other tests take for granted.

mod cleanup;
mod servers;
mod stack;
mod tokens;
