//! What OCI's texts say of a container that concerns us: annotations, and the
//! limits its runtime gives it anyway.

mod annotations;
mod ceiling;

pub(crate) use annotations::{Annotations, DEFAULT_PROFILE, PREFIX, Resolved};
pub(crate) use ceiling::{Ceiling, Linux};

/// Longest state and config.json that are read. Engines write tens of KiB.
pub(crate) const LONGEST: u64 = 4 << 20;
