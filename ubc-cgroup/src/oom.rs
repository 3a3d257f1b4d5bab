//! Who dies when memory runs out: what it takes to impose the order that
//! `ubc_core::oom` computes.
//!
//! cgroup v2 protects a guarantee from reclaim (`memory.low`), not from the
//! out-of-memory killer, which takes the process with the most points: its
//! resident and swapped pages, plus `oom_score_adj` thousandths of the memory
//! that ran out. So the order is imposed by that file: [`Scores`] sets it for
//! the processes of a cgroup, and puts back what was there. [`Draft`] reads
//! what a container's place in the order depends on, in microseconds;
//! [`Domain`] tells which memory a container can run out of; [`Pressure`]
//! becomes ready when that memory gets scarce. Who is placed where is the
//! caller's to say: docs/guarantees.md has the daemon's rule.

mod domain;
mod draft;
mod pressure;
mod scores;

pub use domain::Domain;
pub use draft::Draft;
pub use pressure::Pressure;
pub use scores::{KnownScores, Scores};
