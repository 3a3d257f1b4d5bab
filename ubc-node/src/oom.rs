//! The out-of-memory order: who is placed where, and when to look again.
//!
//! docs/guarantees.md says why so.

mod rule;
mod watch;

pub(crate) use rule::{Contender, places};
pub(crate) use watch::Pressures;
