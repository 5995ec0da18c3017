//! What is read beside the load: times, processes, the machine and the servers' settings.

pub mod conditions;
pub mod machine;
pub mod percentiles;
pub mod processes;
pub mod scrape;
pub mod statements;
pub mod upkeep;
