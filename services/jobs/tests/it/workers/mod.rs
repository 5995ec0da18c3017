//! What WorkerService promises to those who do the jobs, and to those whose jobs they do.

mod fencing;
mod grants;
mod limits;
mod locked;
mod matching;
mod retries;
mod sessions;
mod sessions_ending;
mod unary;
