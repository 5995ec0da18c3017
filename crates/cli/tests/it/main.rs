//! The command line as its users meet it: as a process, against real servers and services.

mod arguments;
mod doctor;
mod jobs;
mod locks;
mod migrate;
mod projects;
mod rebuild;
mod site;
mod support;
mod tour;
mod up;
mod worker;
