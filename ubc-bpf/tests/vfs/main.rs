//! Tasks, files, locks, terminals and signals, on kernels that take our programs.

#[path = "../common/mod.rs"]
mod common;

mod events;
mod files;
mod locks;
mod ownership;
mod seeds;
mod signals;
mod storms;
mod sys;
mod takeover;
mod terminals;
mod without_insert;
