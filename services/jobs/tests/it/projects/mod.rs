//! Settings of projects: how they are changed, and what they change.

mod changing;
mod holding;
mod pressure;
mod running;
mod sharing;
