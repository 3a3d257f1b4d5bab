//! Meters and limiters: what a container holds, and which of its limits the
//! running kernel applies.
//!
//! A container is a cgroup v2 path. [`Host::probe`] finds the hierarchy and
//! says what works on this kernel, [`Meters`] takes one reading of every row
//! that can be measured, [`Limiter`] writes the limits a controller can keep,
//! and [`Host::self_test`] proves the claims by having a real fork and a real
//! allocation refused. Each row carries a [`RowStatus`]: how it is measured
//! and who, if anyone, refuses the operation that goes over its limit.
//!
//! Next to the rows stand OpenVZ's CPU and I/O parameters: [`Scheduler`]
//! writes a [`Schedule`], and [`Host::schedulers`] says which of it works
//! here. [`Control`] changes limits and schedule of a container together, and
//! gives back what a runtime had set; [`FoundLimits`] reads the limits that are
//! there, whoever set them.
//!
//! [`oom`] imposes an order on who dies when memory runs out.
//!
//! What it does not do: it prints no beancounter file, serves no view, and
//! never touches a cgroup v1 hierarchy. Rows nobody can measure here read
//! `None`, never zero.
//!
//! ```no_run
//! use ubc_cgroup::{Cgroup, Host, Meters};
//! use ubc_core::Resource;
//!
//! let host = Host::probe()?;
//! let mut meters = Meters::open(&host, Cgroup::open(&host, "ubc/101")?)?;
//! let rows = meters.read()?;
//! println!("{} files open", rows[Resource::NumFile].held.unwrap_or(0));
//! # Ok::<(), ubc_cgroup::Error>(())
//! ```
//!
//! Linux 5.6 is needed (`openat2`), 5.14 to kill a container in one step
//! (`cgroup.kill`). Nothing else is decided by version: every capability is
//! tried.
#![deny(unsafe_code)]

mod cgroup;
mod control;
mod error;
mod files;
mod host;
mod limiter;
mod meter;
pub mod oom;
#[doc(hidden)]
pub mod parse;
mod programs;
mod scheduler;
mod settings;
mod status;
mod sys;
#[cfg(test)]
mod testing;
mod walk;

pub use cgroup::{Cgroup, CgroupName, InvalidName};
pub use control::{Before, Control, GivenBack};
pub use error::{Error, Result};
pub use host::{Capabilities, Host, expected};
pub use limiter::{FoundLimits, Limiter};
pub use meter::{Finding, Findings, Meter, Meters, Pass, Rank, Round};
pub use programs::{Account, Programs, expected_of_programs};
pub use scheduler::{
    BlockDevice, CpuLimit, CpuUnits, Ids, InvalidValue, IoPriority, Knob, KnobState, Mask,
    Processors, Rate, Schedule, Scheduled, Scheduler, Target,
};
pub use status::{Bound, Enforced, Metered, RowStatus};
pub use ubc_bpf;
pub use walk::Bounds;
