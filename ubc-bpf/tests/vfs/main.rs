//! Tasks, files, locks, terminals and signals, on kernels that take our programs.

#[path = "../common/mod.rs"]
mod common;

mod locks;
mod signals;
mod storms;
mod sys;
mod terminals;
