//! The measuring instrument: each figure next to its yardstick.
//!
//! Absolute times mean nothing on shared machines, and neither does a ratio of
//! two times taken minutes apart. [`pairs`] runs a subject and its yardstick in
//! turns of a few milliseconds, and looks at the ratio of each turn.
//! [`report`] tells them; the groups are in [`groups`]. How to run all of it
//! is in `docs/benchmarks.md`.
#![forbid(unsafe_code)]

pub mod groups;
pub mod page;
pub mod pairs;
pub mod report;
pub mod worker;
